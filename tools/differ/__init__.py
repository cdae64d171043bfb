"""Generated scripts of system calls, run natively and in linuxemu, and compared."""
