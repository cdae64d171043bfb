"""Watching programs: each system call with its arguments, its result and its stack, as strace(1) shows them."""
