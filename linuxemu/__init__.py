"""Run, test and understand Linux programs on a microkernel's Linux ABI layer."""
