"""Which calls are shown (-P, -e status, -b), and the data that they carry (-e read, -e write)."""

from __future__ import annotations

from linuxemu.trace import api


def lines(options: str, script: str, **machine: object) -> list[str]:
    return api.run(["sh", "-c", script], f"-qq {options}", form="text", **machine).lines


def test_calls_about_a_path_and_descriptors_of_it() -> None:
    shown = lines("-P /etc/passwd", "read line < /etc/passwd; read line < /etc/group")
    assert shown[0].startswith('openat(AT_FDCWD, "/etc/passwd", O_RDONLY')
    assert any(line.startswith("read(0, ") for line in shown)
    assert not any("group" in line or line.startswith("execve") for line in shown)


def test_a_relative_path_counts_from_the_working_directory() -> None:
    shown = lines("-P passwd", "cd /; read line < /etc/passwd", cwd="/etc")
    assert shown[0].startswith('openat(AT_FDCWD, "/etc/passwd", O_RDONLY')


def test_what_a_path_leads_to_when_the_trace_begins() -> None:
    script = "read line < link; : > new; ln -s /etc/group link2; read line < link2"
    shown = lines("-P link -P new -P link2", f"cd /tmp; ln -s /etc/passwd link; exec sh -c '{script}'", cwd="/tmp")
    assert [line for line in shown if line.startswith("read")] == []
    assert [line.partition(",")[2].partition(",")[0] for line in shown if "openat" in line] == [
        ' "link"', ' "new"', ' "link2"'
    ]  # fmt: skip
    shown = lines("-P /bin/../etc//passwd", "read line < /etc/passwd")
    assert any(line.startswith("read(0, ") for line in shown)


def test_ends_by_signals_that_are_not_shown() -> None:
    assert lines("-e trace=none", "kill $$")[-1] == "+++ killed by SIGTERM +++"
    assert lines("-e trace=none -e signal=none", "kill $$") == []
    assert lines("-e trace=none -e signal=!TERM", "kill -INT $$")[-1] == "+++ killed by SIGINT +++"


def test_calls_that_end_in_certain_ways() -> None:
    def shown(status: str) -> list[str]:
        script = "read line < /; /bin/true; kill -KILL $$"
        return lines(f"-f -e signal=none -a 1 -e trace=exit_group,kill,read -e status={status}", script)

    assert shown("unfinished") == ["[pid     3] exit_group(0) = ?", "kill(2, SIGKILL) = ?"]
    (failed,) = shown("failed")
    assert failed.startswith("read(0, 0x")
    assert failed.endswith(", 1) = -1 EISDIR (Is a directory)")
    assert shown("unavailable") == []


def test_programs_are_left_alone_once_they_run_another() -> None:
    script = "/bin/true; kill -0 $$"
    trace = "-f -b execve -a 1 -e signal=none -e trace"
    shown = lines(f"{trace}=execve,kill,exit_group", script)
    assert shown[1].startswith('[pid     3] execve("/bin/true", ["/bin/true"], 0x')
    assert shown[1].endswith(" vars */ <detached ...>")
    assert shown[2:] == ["kill(2, 0) = 0", "exit_group(0) = ?"]
    assert lines(f"{trace}=kill,exit_group", script) == shown[2:]
    assert lines(f"{trace}=execve,kill,exit_group -P /nothere", script) == []
    assert lines(f"{trace}=execve,kill,exit_group -e status=detached", script) == [shown[1]]


def test_results_of_undecoded_calls() -> None:
    shown = lines("-f -a 1 -e trace=getpid,rmdir -e raw=getpid,rmdir", "kill -0 $$; rmdir /nothere")
    assert shown[0] == "getpid() = 0x2"
    assert next(line for line in shown if "rmdir(0x" in line).endswith(" = -1 ENOENT (No such file or directory)")


def test_the_program_itself_is_a_path() -> None:
    assert lines("-P /bin/sh -e trace=execve", "true")[0].startswith('execve("/bin/sh", ["sh", "-c", "true"]')


def test_data_read_and_written_are_dumped() -> None:
    shown = lines("-e trace=read,write -e read=0 -e write=1", "read line; echo $line", stdin=b"ab\n")
    at = next(n for n, line in enumerate(shown) if line.startswith('write(1, "ab\\n", 3)'))
    assert shown[at + 1] == " | 00000  61 62 0a                                          ab.              |"
    reads = [n for n, line in enumerate(shown) if line.startswith("read(0, ")]
    assert all(shown[n + 1].startswith(" | 00000  ") for n in reads)
