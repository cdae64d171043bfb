"""Objects of the Linux server: processes, memory maps, open files, signals."""
