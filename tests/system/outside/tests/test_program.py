from __future__ import annotations

from linuxemu.testing import ProgramRunner

SOURCE = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char line[64];
    int fd = open("/etc/motd", O_RDONLY);
    ssize_t n = read(fd, line, sizeof line);

    sleep(3600);
    printf("%.*s", (int)n, line);
    if (open("/none", O_RDONLY) < 0)
        printf("%s\n", strerror(errno));
    return 3;
}
"""


def test_a_c_program(program: ProgramRunner) -> None:
    done = program(c=SOURCE, files={"/etc/motd": b"welcome\n"})
    assert (done.exit_status, done.stdout) == (3, b"welcome\nNo such file or directory\n")
    assert [result for result in done.results("openat") if result is not None] == [3, -2]
    assert "fs.read" in done.rpcs.names()
