"""The Linux server: system calls translated into microkernel messages."""
