"""The CPU engines: one protocol, one module per engine."""
