"""Foreign test suites: fetched as Debian source packages, run natively and in linuxemu, and compared.

`suite` says what a suite is; `busybox`, `posix` and `bash` are the suites; `debian` fetches, `tree` makes the root
file system that both sides get, `running` runs, `store` keeps results, `expectations` and `verdict` judge, `report` and
`page` tell, and `cli` puts all of it together.
"""
