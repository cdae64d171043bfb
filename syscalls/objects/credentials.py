"""Who a task is: ids, supplementary groups, capabilities (man 7 credentials, man 7 capabilities).

Credentials are immutable; a call that changes them replaces them as a whole. There are no user namespaces and
no file capabilities: set-user-ID bits and uid 0 are the only ways to gain anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi.flags import (
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    CAP_LAST_CAP,
    CAP_LINUX_IMMUTABLE,
    CAP_MAC_OVERRIDE,
    CAP_MKNOD,
    S_IFDIR,
    S_IFMT,
    SECBIT_KEEP_CAPS,
    SECBIT_NO_SETUID_FIXUP,
    SECBIT_NOROOT,
)

if TYPE_CHECKING:
    from typing import Protocol

    class HasOwner(Protocol):
        """Anything with the attributes that permission checks look at."""

        @property
        def mode(self) -> int:
            """st_mode: type and permission bits."""

        @property
        def uid(self) -> int:
            """Owning user."""

        @property
        def gid(self) -> int:
            """Owning group."""


ALL_CAPS = (1 << CAP_LAST_CAP + 1) - 1
OVERFLOW_ID = 65534
MAY_EXEC = 1
"""Bits of `permission`'s `want`, as in a mode: X_OK, W_OK, R_OK."""
MAY_WRITE = 2
MAY_READ = 4

_FS_CAPS = (
    1 << CAP_CHOWN
    | 1 << CAP_DAC_OVERRIDE
    | 1 << CAP_DAC_READ_SEARCH
    | 1 << CAP_FOWNER
    | 1 << CAP_FSETID
    | 1 << CAP_LINUX_IMMUTABLE
    | 1 << CAP_MKNOD
    | 1 << CAP_MAC_OVERRIDE
)
"""The capabilities that follow the file system uid (man 2 setfsuid)."""


class Credentials(NamedTuple):
    """Ids and capability sets; the defaults are root's."""

    uid: int = 0
    euid: int = 0
    suid: int = 0
    fsuid: int = 0
    gid: int = 0
    egid: int = 0
    sgid: int = 0
    fsgid: int = 0
    groups: tuple[int, ...] = ()
    """Supplementary groups, ascending."""
    effective: int = ALL_CAPS
    permitted: int = ALL_CAPS
    inheritable: int = 0
    bounding: int = ALL_CAPS
    ambient: int = 0
    securebits: int = 0

    @classmethod
    def user(cls, uid: int, gid: int, groups: tuple[int, ...] = ()) -> Credentials:
        """What login gives a user: no capabilities unless it is root."""
        caps = 0 if uid else ALL_CAPS
        return cls(uid, uid, uid, uid, gid, gid, gid, gid, tuple(sorted(groups)), caps, caps)

    def capable(self, cap: int) -> bool:
        """Whether a CAP_* is effective."""
        return bool(self.effective >> cap & 1)

    def in_group(self, gid: int) -> bool:
        """Whether file access counts as that of a member of the group."""
        return gid == self.fsgid or gid in self.groups

    def owner_or_capable(self, uid: int, cap: int = CAP_FOWNER) -> bool:
        """Whether what only a file's owner may do is allowed (man 2 chmod, utimensat; man 7 capabilities)."""
        return self.fsuid == uid or self.capable(cap)

    def with_uids(self, uid: int, euid: int, suid: int) -> Credentials:
        """After setuid(2) and its relatives: fsuid follows, capabilities as in man 7 capabilities."""
        effective, permitted, ambient = self.effective, self.permitted, self.ambient
        if not self.securebits & SECBIT_NO_SETUID_FIXUP:
            if 0 in (self.uid, self.euid, self.suid) and 0 not in (uid, euid, suid):
                if not self.securebits & SECBIT_KEEP_CAPS:
                    effective = permitted = 0
                ambient = 0
            if self.euid == 0 and euid != 0:
                effective = 0
            elif self.euid != 0 and euid == 0:
                effective = permitted
        made = self._replace(uid=uid, euid=euid, suid=suid, fsuid=euid)
        return made._replace(effective=effective, permitted=permitted, ambient=ambient)

    def with_gids(self, gid: int, egid: int, sgid: int) -> Credentials:
        """After setgid(2) and its relatives; fsgid follows."""
        return self._replace(gid=gid, egid=egid, sgid=sgid, fsgid=egid)

    def with_fsuid(self, fsuid: int) -> Credentials:
        """After setfsuid(2): the capabilities about files come and go with uid 0."""
        effective = self.effective
        if not self.securebits & SECBIT_NO_SETUID_FIXUP:
            if self.fsuid == 0 and fsuid != 0:
                effective &= ~_FS_CAPS
            elif self.fsuid != 0 and fsuid == 0:
                effective |= self.permitted & _FS_CAPS
        return self._replace(fsuid=fsuid, effective=effective)

    def for_access(self) -> Credentials:
        """What access(2) without AT_EACCESS checks with: the real ids and the capabilities they give."""
        if self.fsuid == self.uid and self.fsgid == self.gid and not self._access_changes_caps():
            return self
        effective = self.effective
        if not self.securebits & SECBIT_NO_SETUID_FIXUP:
            effective = 0 if self.uid else self.permitted
        return self._replace(fsuid=self.uid, fsgid=self.gid, effective=effective)

    def _access_changes_caps(self) -> bool:
        if self.securebits & SECBIT_NO_SETUID_FIXUP:
            return False
        return self.effective != (0 if self.uid else self.permitted)

    def for_exec(self, uid: int | None = None, gid: int | None = None) -> Credentials:
        """After execve(2) of a file without capabilities of its own.

        Args:
            uid: owner of a set-user-ID file whose bit counts (not under nosuid or no_new_privs).
            gid: the same for a set-group-ID file.
        """
        euid = self.euid if uid is None else uid
        egid = self.egid if gid is None else gid
        ambient = 0 if euid != self.uid or egid != self.gid else self.ambient
        permitted = effective = ambient
        if not self.securebits & SECBIT_NOROOT and 0 in (euid, self.uid):
            permitted |= self.inheritable | self.bounding
            if euid == 0:
                effective = permitted
        return self._replace(
            euid=euid,
            suid=euid,
            fsuid=euid,
            egid=egid,
            sgid=egid,
            fsgid=egid,
            effective=effective,
            permitted=permitted,
            ambient=ambient,
            securebits=self.securebits & ~SECBIT_KEEP_CAPS,
        )

    def is_secure_exec(self) -> bool:
        """Whether these credentials, made by `for_exec`, call for AT_SECURE (man 3 getauxval)."""
        if self.euid != self.uid or self.egid != self.gid:
            return True
        return self.uid != 0 and self.permitted & ~self.ambient != 0


def permission(creds: Credentials, attr: HasOwner, want: int, use_real: bool = False) -> bool:
    """Whether a file may be read, written, executed or searched (man 7 path_resolution).

    Args:
        creds: the caller's.
        attr: mode, uid and gid of the file.
        want: MAY_READ | MAY_WRITE | MAY_EXEC, which are also R_OK, W_OK, X_OK.
        use_real: check with the real ids, as access(2) does.
    """
    if use_real:
        creds = creds.for_access()
    mode = attr.mode
    if creds.fsuid == attr.uid:
        granted = mode >> 6
    elif creds.in_group(attr.gid):
        granted = mode >> 3
    else:
        granted = mode
    if not want & ~granted & 7:
        return True
    effective = creds.effective
    if not effective:
        return False
    return _override(effective, mode, want)


def _override(effective: int, mode: int, want: int) -> bool:
    """Whether a capability grants what the mode bits do not."""
    is_dir = mode & S_IFMT == S_IFDIR
    if effective >> CAP_DAC_READ_SEARCH & 1 and (not want & MAY_WRITE if is_dir else want == MAY_READ):
        return True
    if not effective >> CAP_DAC_OVERRIDE & 1:
        return False
    return is_dir or not want & MAY_EXEC or bool(mode & 0o111)
