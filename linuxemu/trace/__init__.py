"""Watching programs: each system call with its arguments and result, signals and ends, as strace(1) shows them.

`Tracer` is what the Linux server tells about its tasks; `TextLog` and `JsonLog` write down what it hears. How values
are spelled is in `linuxemu.trace.formats`, and follows from the declarations of `syscalls.handlers`. What is asked of a
trace is in `linuxemu.trace.options`, how it is asked in `linuxemu.trace.reader`.
"""
