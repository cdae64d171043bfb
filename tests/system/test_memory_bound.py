"""What a program can make the tool use is bounded by the machine's memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import GuestCompiler
from tests.helpers import tool_environment

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char block[1 << 20];

static void fill(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    while (write(fd, block, sizeof block) > 0)
        ;
}

int main(int argc, char **argv)
{
    char name[64];
    int ends[2], zero = open("/dev/zero", O_RDONLY);
    char *zeros = mmap(0, 1 << 28, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct iovec vector[8];
    for (int i = 0; i < 8; i++)
        vector[i] = (struct iovec){zeros, 1 << 28};
    memset(block, 'x', sizeof block);
    pipe2(ends, O_NONBLOCK);
    fcntl(ends[1], F_SETPIPE_SZ, 1u << 31);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 28);
    if (!strcmp(argv[1], "writev"))
        writev(ends[1], vector, 8);
    else if (!strcmp(argv[1], "vmsplice"))
        for (int i = 0; i < 300; i++)
            vmsplice(ends[1], vector, 8, SPLICE_F_NONBLOCK);
    else if (!strcmp(argv[1], "splice"))
        for (int i = 0; i < 300; i++)
            splice(zero, 0, ends[1], 0, 0x7fffffff, SPLICE_F_NONBLOCK);
    else if (!strcmp(argv[1], "fallocate"))
        for (int i = 0; i < 40; i++)
            fallocate(open("/tmp/f", O_RDWR | O_CREAT, 0600), FALLOC_FL_KEEP_SIZE, (off_t)i << 30, 1l << (i % 34));
    else if (!strcmp(argv[1], "files")) {
        fill("/tmp/f");
        fill("/g");
        ftruncate(syscall(SYS_memfd_create, "m", 0), 1l << 40);
        for (int i = 0; i < 5; i++) {
            sprintf(name, "/tmp/%d", i);
            mkdir(name, 0700);
            mount("tmpfs", name, "tmpfs", 0, 0);
            strcat(name, "/f");
            fill(name);
        }
    } else if (!strcmp(argv[1], "names"))
        for (int i = 0; i < 60000; i++) {
            sprintf(name, "/tmp/a-rather-long-name-%d", i);
            if (mkdir(name, 0700) < 0)
                break;
        }
    else if (!strcmp(argv[1], "output"))
        while (write(1, block, sizeof block) > 0)
            ;
    else if (!strcmp(argv[1], "threads"))
        for (int i = 0; i < 20000; i++) {
            if (syscall(SYS_clone, 0x50f00, block + sizeof block - 64, 0, 0, 0) == 0)
                for (;;)
                    syscall(SYS_pause);
        }
    else if (!strcmp(argv[1], "zombies"))
        for (int i = 0; i < 3000; i++)
            if (fork() == 0)
                _exit(0);
    else if (!strcmp(argv[1], "descriptors")) {
        struct rlimit limit = {1 << 20, 1 << 20};
        setrlimit(RLIMIT_NOFILE, &limit);
        while (open("/dev/null", O_RDONLY) >= 0)
            ;
        fork();
    } else if (!strcmp(argv[1], "areas")) {
        for (long i = 0; mprotect(zeros + i * 8192, 4096, PROT_NONE) == 0 && i < 32000; i++)
            ;
        for (int i = 0; i < 50; i++)
            if (fork() == 0)
                for (;;)
                    pause();
    } else if (!strcmp(argv[1], "pipes"))
        for (int i = 0; i < 500; i++) {
            pipe2(ends, O_NONBLOCK);
            fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
            write(ends[1], block, sizeof block);
        }
    return 0;
}
"""
RUN = """
import sys
from linuxemu import Machine
Machine(root=sys.argv[1], memory_mib=32, seed=1, timeout_s=100).run(["/p", sys.argv[2]])
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
"""Prints its own peak, KiB: that of a child would count what its parent had when it was made."""
MEMORY_MIB = 32
CONSTANT_MIB = 60
"""The tool itself takes half of it."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hoard")
    (folder / "hoard.c").write_text(SOURCE)
    program = GuestCompiler(folder / "programs", folder)("hoard", "glibc")
    for name in ("tmp", "dev", "proc"):
        (folder / "root" / name).mkdir(parents=True)
    shutil.copy(program, folder / "root/p")
    return folder / "root"


@pytest.mark.parametrize(
    "what",
    [
        "writev", "vmsplice", "splice", "fallocate", "files", "names", "output", "pipes", "threads", "zombies",
        "descriptors", "areas",
    ],
)  # fmt: skip
def test_memory_is_bounded(what: str, root: Path) -> None:
    line = [sys.executable, "-c", RUN, str(root), what]
    done = subprocess.run(line, env=tool_environment(), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert int(done.stdout) < (MEMORY_MIB + CONSTANT_MIB) * 1024
