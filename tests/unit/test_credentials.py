"""Permission checks, and what execve makes of credentials; the native kernel is asked where it can answer."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from syscalls.abi.flags import CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_KILL
from syscalls.objects.credentials import (
    ALL_CAPS,
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    Credentials,
    permission,
)

DIRECTORY, REGULAR = 0o040000, 0o100000


class Owner(NamedTuple):
    mode: int
    uid: int
    gid: int


# Asks the kernel about every file as different users: argv is the directory.
_PROBE = """
import ctypes, os, pickle, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
names = sorted(os.listdir("."))
found = {}
for uid, gid, groups, euid in pickle.load(sys.stdin.buffer):
    pid_reader, pid_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, euid, 0)
        if uid:
            os.setresuid(-1, -1, uid if euid else 0)
        answers = {}
        for name in names:
            for want in range(1, 8):
                for flags in (0, 0x200):
                    answers[name, want, flags] = libc.syscall(439, -100, name.encode(), want, flags) == 0
        os.write(pid_writer, pickle.dumps(answers))
        os._exit(0)
    os.close(pid_writer)
    with os.fdopen(pid_reader, "rb") as stream:
        found[uid, gid, groups, euid] = pickle.load(stream)
    os.waitpid(pid, 0)
sys.stdout.buffer.write(pickle.dumps(found))
"""


@pytest.mark.native
def test_permission_is_that_of_the_kernel(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    files: dict[str, Owner] = {}
    modes = (0o000, 0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o750, 0o604, 0o077)
    for mode, (uid, gid), kind in product(modes, ((1000, 1000), (1001, 50), (0, 0)), (DIRECTORY, REGULAR)):
        name = f"{mode:03o}-{uid}-{gid}-{kind:o}"
        path = tmp_path / name
        if kind == DIRECTORY:
            path.mkdir()
        else:
            path.touch()
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        files[name] = Owner(kind | mode, uid, gid)
    os.chmod(tmp_path, 0o755)
    users = [
        (1000, 1000, (), 1000), (1001, 1001, (50, 60), 1001), (0, 0, (), 0), (1000, 50, (), 0),
        (0, 0, (), 1000),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROBE, str(tmp_path)], input=pickle.dumps(users), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    expected = pickle.loads(done.stdout)
    for uid, gid, groups, euid in users:
        creds = Credentials.user(0, 0, groups).with_gids(gid, gid, gid)
        creds = creds.with_uids(uid, euid, uid if euid else 0)
        for (name, want, flags), allowed in expected[uid, gid, groups, euid].items():
            ours = permission(creds, files[name], want, use_real=not flags)
            assert ours == allowed, (uid, gid, groups, euid, name, want, flags)


class TestCapabilities:
    user = Credentials.user(1000, 1000)

    def test_read_search_reads_and_searches(self) -> None:
        creds = self.user._replace(effective=1 << CAP_DAC_READ_SEARCH)
        assert permission(creds, Owner(REGULAR, 0, 0), MAY_READ)
        assert not permission(creds, Owner(REGULAR, 0, 0), MAY_READ | MAY_WRITE)
        assert not permission(creds, Owner(REGULAR | 0o111, 0, 0), MAY_READ | MAY_EXEC)
        assert permission(creds, Owner(DIRECTORY, 0, 0), MAY_READ | MAY_EXEC)
        assert not permission(creds, Owner(DIRECTORY, 0, 0), MAY_WRITE)

    def test_override_does_everything_but_execute_what_nobody_may(self) -> None:
        creds = self.user._replace(effective=1 << CAP_DAC_OVERRIDE)
        assert permission(creds, Owner(REGULAR, 0, 0), MAY_READ | MAY_WRITE)
        assert not permission(creds, Owner(REGULAR, 0, 0), MAY_EXEC)
        assert permission(creds, Owner(REGULAR | 0o010, 0, 0), MAY_EXEC)
        assert permission(creds, Owner(DIRECTORY, 0, 0), MAY_WRITE | MAY_EXEC)

    def test_owner_or_capable(self) -> None:
        assert self.user.owner_or_capable(1000)
        assert not self.user.owner_or_capable(0)
        assert self.user._replace(effective=1 << CAP_FOWNER).owner_or_capable(0)
        assert self.user.with_fsuid(0).owner_or_capable(0)

    def test_fs_capabilities_come_and_go_with_the_fsuid(self) -> None:
        dropped = Credentials().with_fsuid(5)
        assert not dropped.capable(CAP_CHOWN)
        assert dropped.capable(CAP_KILL)
        assert dropped.with_fsuid(0) == Credentials()


class TestExec:
    def test_root_gets_everything_bounding(self) -> None:
        creds = Credentials(effective=0, permitted=0, bounding=0xFF, inheritable=1 << 20)
        assert creds.for_exec().permitted == creds.for_exec().effective == 0xFF | 1 << 20

    def test_user_gets_nothing(self) -> None:
        new = Credentials.user(5, 5)._replace(effective=3, permitted=3, inheritable=3).for_exec()
        assert (new.effective, new.permitted, new.inheritable) == (0, 0, 3)
        assert not new.is_secure_exec()

    def test_ambient_capabilities_stay(self) -> None:
        new = Credentials.user(5, 5)._replace(permitted=7, inheritable=7, ambient=2).for_exec()
        assert (new.effective, new.permitted, new.ambient) == (2, 2, 2)
        assert not new.is_secure_exec()
        changed = Credentials.user(5, 5)._replace(permitted=7, inheritable=7, ambient=2).for_exec(gid=9)
        assert (changed.effective, changed.permitted, changed.ambient) == (0, 0, 0)

    def test_set_user_id_root(self) -> None:
        new = Credentials.user(5, 5).for_exec(uid=0)
        assert (new.uid, new.euid, new.suid, new.fsuid) == (5, 0, 0, 0)
        assert new.effective == new.permitted == ALL_CAPS
        assert new.is_secure_exec()

    def test_set_user_id_of_another_user(self) -> None:
        new = Credentials.user(5, 5).for_exec(uid=6, gid=7)
        assert (new.euid, new.egid, new.sgid, new.fsgid, new.effective) == (6, 7, 7, 7, 0)
        assert new.is_secure_exec()

    def test_real_root_keeps_permitted_capabilities(self) -> None:
        new = Credentials().for_exec(uid=6)
        assert (new.effective, new.permitted) == (0, ALL_CAPS)

    def test_noroot(self) -> None:
        new = Credentials(securebits=1 | 1 << 4).for_exec()
        assert (new.effective, new.permitted, new.securebits) == (0, 0, 1)


def test_access_uses_the_real_ids() -> None:
    setuid_root = Credentials.user(5, 5).for_exec(uid=0)
    assert permission(setuid_root, Owner(REGULAR | 0o600, 0, 0), MAY_READ)
    assert not permission(setuid_root, Owner(REGULAR | 0o600, 0, 0), MAY_READ, use_real=True)
    plain = Credentials.user(5, 5)
    assert plain.for_access() is plain
    assert Credentials().for_access() == Credentials()
    fixed = Credentials(effective=0, securebits=1 << 2)
    assert fixed.for_access() is fixed
