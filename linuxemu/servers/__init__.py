"""The servers of the system, one package each; the only code that touches the host."""
