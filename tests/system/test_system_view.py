"""What ps, top, df, mount and /proc show: here the machine is another one than the host, so only the shape is known."""

from __future__ import annotations

import re

import pytest

from tests.helpers import Outcome, guest


def shell(script: str) -> Outcome:
    return guest(["sh", "-c", script])


def lines(script: str) -> list[str]:
    outcome = shell(script)
    assert (outcome.status, outcome.stderr) == (0, b""), outcome.text()
    return outcome.stdout.decode().splitlines()


def test_ps_shows_the_processes() -> None:
    head, *rows = lines(
        "sleep 100 & sleep 100 & sleep 0.5; ps -o pid,ppid,stat,comm; kill $(jobs -p); wait 2>/dev/null; true"
    )
    assert head.split() == ["PID", "PPID", "STAT", "COMMAND"]
    names = [row.split()[-1] for row in rows]
    assert names.count("sleep") == 2
    assert "sh" in names
    assert "ps" in names
    shell_pid = next(row.split()[0] for row in rows if row.endswith(" sh"))
    assert {row.split()[1] for row in rows if row.endswith(" sleep")} == {shell_pid}


def test_ps_shows_states_and_zombies() -> None:
    script = "(true & exec sleep 0.3) & sleep 0.15; ps -o stat,comm | sort; wait"
    rows = lines(script)
    assert any(re.match(r"Z\w* +(true|sh)", row) for row in rows), rows
    assert any(re.match(r"S\w* +sleep", row) for row in rows), rows


def test_top() -> None:
    rows = lines("top -bn1")
    assert rows[0].startswith("Mem: ")
    assert re.match(r"CPU: +\d+% usr", rows[1])
    assert rows[2].startswith("Load average: ")
    assert any(row.endswith(" top -bn1") for row in rows)


def test_top_sees_work() -> None:
    rows = lines(
        "while :; do :; done & sleep 0.3; top -b -n 2 -d 0.5 | grep -c ' R '; kill $!; wait 2>/dev/null; true"
    )
    assert int(rows[0]) >= 2


def test_df() -> None:
    head, *rows = lines("df")
    assert head.split()[:3] == ["Filesystem", "1K-blocks", "Used"]
    root = next(row.split() for row in rows if row.endswith(" /"))
    assert int(root[1]) >= int(root[2])
    assert lines("df /tmp | tail -n 1")[0].split()[-1] == "/"


def test_mount_lists_and_agrees_with_proc() -> None:
    rows = [row.split() for row in lines("mount")]
    places = {row[2]: row[4] for row in rows}
    assert {"/", "/proc", "/dev"} <= set(places)
    assert places["/proc"] == "proc"
    table = [row.split() for row in lines("cat /proc/mounts")]
    assert [(row[1], row[2]) for row in table] == [(row[2], row[4]) for row in rows]


def test_mount_and_umount_a_tmpfs() -> None:
    script = "mkdir /m; mount -t tmpfs none /m && echo x > /m/f && ls /m && grep -c ' /m tmpfs ' /proc/mounts"
    assert lines(f"{script}; umount /m && ls /m") == ["f", "1"]


def test_mount_is_for_root_only() -> None:
    outcome = guest(["sh", "-c", "mount -t tmpfs none /tmp"], user=(1000, 1000))
    assert outcome.status != 0
    assert b"permitted" in outcome.stderr or b"denied" in outcome.stderr


@pytest.mark.parametrize(
    ("script", "pattern"),
    [
        ("uname -s; uname -m", r"Linux\nx86_64"),
        ("hostname", r"\w+"),
        ("free | head -n 2 | tail -n 1", r"Mem: +\d+ +\d+ +\d+.*"),
        ("uptime", r" \d\d:\d\d:\d\d up .*load average: .*"),
        ("nproc", r"1"),
        ("date +%Y", r"20\d\d"),
        ("whoami; id -u; id -gn", r"root\n0\nroot"),
        ("cat /proc/sys/kernel/ostype", r"Linux"),
        ("cat /proc/sys/kernel/hostname", r"\w+"),
        ("grep -c ^processor /proc/cpuinfo", r"1"),
        ("grep MemTotal /proc/meminfo", r"MemTotal: +\d+ kB"),
        ("cat /proc/1/comm", r"init"),
        ("awk '{ print (NF >= 3) }' /proc/loadavg", r"1"),
        ("cat /proc/self/mountinfo | awk '{ print (NF >= 10) }' | sort -u", r"1"),
        ("ls -l /dev/null | cut -c1", r"c"),
        ("ls /dev", r"(?s).*console.*full.*null.*random.*tty.*urandom.*zero.*"),
        ("for f in fd stdin stdout; do readlink /dev/$f; done", r"/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1"),
        ("ls -d /sys/* | head -n 1", r"/sys/\w+"),
        ("stat -c '%a %F' /tmp /root /etc/passwd", r"1777 directory\n700 directory\n644 regular file"),
        ("ls -l /bin/ls | sed 's/.*-> //'", r".*busybox"),
        (
            "for f in passwd group hosts profile shadow; do test -s /etc/$f || echo no $f; done; echo over",
            r"over",
        ),
        (
            "busybox --list | while read a; do which $a > /dev/null || echo $a; done | grep -v linuxrc; echo over",
            r"over",
        ),
    ],
)
def test_the_system_shows(script: str, pattern: str) -> None:
    text = "\n".join(lines(script))
    assert re.fullmatch(pattern, text), text


def test_find_and_checksum_everything() -> None:
    rows = lines("cd /; find / -xdev -type f | xargs md5sum | wc -l; find / -xdev -type f | wc -l")
    assert rows[0] == rows[1]
    assert int(rows[0]) > 10
    # With /proc, /sys and /dev too: some files of /proc may be gone or unreadable, but it ends.
    outcome = shell("find / -type f 2>/dev/null | xargs md5sum > /tmp/sums 2>/dev/null; wc -l < /tmp/sums")
    assert int(outcome.stdout) > int(rows[0])


def test_processes_start_at_one_and_count_up() -> None:
    rows = lines("sh -c 'echo $PPID'; sh -c 'echo $$'; sh -c 'echo $$'; true")
    numbers = [int(row) for row in rows]
    assert numbers[0] < numbers[1] < numbers[2] < 50
