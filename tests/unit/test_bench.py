"""The benchmark: its guest programs are valid, its figures are put together rightly."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from linuxemu.bench import programs
from linuxemu.bench.figures import LINUXEMU, NATIVE, QEMU
from linuxemu.bench.launch import Launcher, elapsed_s, write_program
from linuxemu.bench.report import BEGIN, END, Line, Sample, as_json, limits, limits_text, table, update_readme
from linuxemu.cli import main
from linuxemu.errors import LinuxEmuError
from linuxemu.testing.assembler import Assembler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAMS: dict[str, Callable[[str], bytes]] = {
    "null": lambda _: programs.null_call(100),
    "touch": lambda _: programs.page_touch(100),
    "pipe": lambda _: programs.ping_pong(10),
    "fork": lambda _: programs.fork_wait(3),
    "exec": lambda _: programs.fork_exec_wait(2, ["/bin/true", "true"]),
    "read": lambda path: programs.file_io(10, path, write=False),
    "write": lambda path: programs.file_io(10, path, write=True),
    "open": lambda path: programs.open_close(10, path),
}


@pytest.mark.native
@pytest.mark.parametrize("name", PROGRAMS)
def test_timed_programs_run_natively(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(4096))
    program = tmp_path / name
    write_program(program, PROGRAMS[name](str(tmp_path / "data")))
    done = subprocess.run([program], capture_output=True, timeout=20)
    assert done.returncode == 0
    assert len(done.stdout) == programs.RESULT_SIZE
    assert 0 < elapsed_s(done.stdout) < 10


@pytest.mark.native
def test_a_failing_child_fails_the_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    write_program(program, programs.fork_exec_wait(2, ["/bin/false", "false"]))
    assert subprocess.run([program]).returncode == 1


@pytest.mark.native
def test_launcher_measures(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    launch = launcher.run(["/bin/sh", "-c", 'printf \'%s|\' "$HOME" "$@"; sleep 0.05', "sh", "a b", "c"])
    assert launch.stdout.decode() == f"{os.environ.get('HOME', '')}|a b|c|"
    assert 0.05 <= launch.wall_s < 5
    assert launch.cpu_s < 1
    assert 100 < launch.peak_kib < 10_000


@pytest.mark.native
def test_launcher_tells_of_failures(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    with pytest.raises(LinuxEmuError, match="went wrong"):
        launcher.run(["/bin/sh", "-c", "echo went wrong >&2; exit 3"])
    with pytest.raises(LinuxEmuError, match="0x7f00"):
        launcher.run(["/nonexistent/program"])


def test_script_has_the_lines_and_forks_promised() -> None:
    lines = programs.shell_script().splitlines()
    assert len(lines) == 200
    forks = sum(line.count("$(echo") + 2 * line.count("| cat") + 2 * line.count("(exit") for line in lines)
    assert forks == 300


@pytest.mark.native
def test_script_runs_natively(tmp_path: Path, busybox: str) -> None:
    (tmp_path / "script").write_text(programs.shell_script())
    for name in ("busybox", "cat"):
        (tmp_path / name).symlink_to(busybox)
    strace = shutil.which("strace")
    counting = (
        [strace, "-f", "-qq", "-e", "trace=fork,vfork,clone", "-o", str(tmp_path / "log")] if strace else []
    )
    subprocess.run(
        [*counting, busybox, "sh", str(tmp_path / "script")],
        env={"PATH": str(tmp_path)},
        check=True,
        timeout=60,
    )
    if strace:
        lines = (tmp_path / "log").read_text().splitlines()
        # A child's end may interrupt a clone, which is then made again.
        made = [line for line in lines if ") = " in line and "ERESTART" not in line]
        assert len(made) == 300


def test_assembler_encodes() -> None:
    a = Assembler()
    a.set("rax", 5)
    a.set("r9", 6)
    a.set("r14", "rax")
    a.set("rdi", "r14")
    a.label("here")
    a.add("rbx", -1)
    a.jump("jnz", "here")
    code = a.elf()[64 + 2 * 56 :]
    assert code == bytes.fromhex("b805000000 41b906000000 4989c6 4c89f7 4881c3ffffffff 0f85f3ffffff")


def test_elf_header_names_a_static_program() -> None:
    image = programs.null_call(1)
    assert image[:7] == b"\x7fELF\x02\x01\x01"
    assert struct.unpack_from("<HH", image, 16) == (2, 62)


LINES = [
    Line("cycle", "cycle", "µs", {LINUXEMU: Sample((4.0,))}),
    Line(
        "null",
        "null call",
        "µs",
        {LINUXEMU: Sample((9.0, 8.0, 30.0)), NATIVE: Sample((0.1,)), QEMU: Sample((0.5,))},
    ),
    Line("exec", "exec", "ms", {LINUXEMU: Sample((6.0,)), NATIVE: Sample((0.5,))}),
    Line("memory", "memory", "MiB", {LINUXEMU: Sample((123.4,)), NATIVE: Sample((0.0,))}),
]


def test_medians_and_ratios() -> None:
    null = LINES[1]
    assert null.samples[LINUXEMU].median == 9.0
    assert null.ratio(NATIVE) == pytest.approx(90)
    assert null.ratio(QEMU) == pytest.approx(18)
    assert LINES[0].ratio(NATIVE) is None
    assert LINES[3].ratio(NATIVE) is None


def test_table() -> None:
    text = table(LINES).splitlines()
    assert text[0].split("|")[2].strip() == "linuxemu"
    cells = [cell.strip() for cell in text[3].split("|")]
    assert cells == ["", "null call", "9 µs (8–30)", "0.1 µs", "0.5 µs", "90 ×", "18 ×", ""]
    assert len({len(line) for line in text}) == 1


def test_limits() -> None:
    found = {limit.text: limit for limit in limits(LINES)}
    assert [limit.kept for limit in found.values()] == [True, False, False]
    assert found["null system call / bare stop-and-start"].value == pytest.approx(2.25)
    assert "limit 6: MISSED" in limits_text(list(found.values()))


def test_json_is_complete() -> None:
    data = json.loads(json.dumps(as_json(LINES, limits(LINES))))
    null = data["figures"][1]
    assert (null["name"], null["linuxemu"]["median"], null["linuxemu"]["max"]) == ("null", 9.0, 30.0)
    assert null["native"]["runs"] == [0.1]
    assert data["limits"][0]["kept"] is True
    assert set(data["host"]) == {"cpu", "cores", "system", "python"}


def test_readme_is_changed_between_the_markers_only(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        update_readme(readme, LINES, limits(LINES), 3)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text
    assert text.count("9 µs (8–30)") == 1


def test_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("text")
    with pytest.raises(LinuxEmuError, match="has no lines"):
        update_readme(readme, LINES, [], 1)
    with pytest.raises(LinuxEmuError, match="No such file"):
        update_readme(tmp_path / "none", LINES, [], 1)


def test_unknown_figure_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "null,speed"]) == 2
    assert "no figure 'speed'; there are cycle, null" in capsys.readouterr().err


def test_bench_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--help"])
    assert stop.value.code == 0
    assert "--update-readme" in capsys.readouterr().out


@pytest.mark.native
def test_one_figure_for_real(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "null", "--runs", "1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["figures"][0]["linuxemu"]["median"] > 0
    assert data["figures"][0]["native"]["median"] > 0
