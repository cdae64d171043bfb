"""Root file systems: the default one with BusyBox is built here, and any other is opened here."""
