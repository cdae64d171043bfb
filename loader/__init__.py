"""What execve (man 2 execve) has to know of a program file: its segments, its script line, its first stack. Also the
tables in it that describe its functions.

Pure: nothing here opens a file or touches guest memory; callers hand in bytes or a function that reads.
"""
