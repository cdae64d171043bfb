"""Hostile input for every part of linuxemu that takes some: system calls, programs, archives, interfaces, messages.

`target` says what a target is. `linux` makes system calls by `guest.c`, with and without a trace; `programs`,
`archives`, `interfaces` and `messages` are the others, of which those that read bytes get them from `mutate`. `watch`
and `sandbox` notice what must not happen, `store` keeps and shrinks what failed, and `cli` puts all of it together.
"""
