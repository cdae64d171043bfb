"""The interface definition language: grammar, layout, generator, and the base of message classes."""
