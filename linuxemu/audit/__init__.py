"""`linuxemu audit`: which system calls a program can make, found without running it."""
