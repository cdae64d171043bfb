"""loader.plan: the mappings of a program, compared with /proc/pid/maps of the host's kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from loader.elf import parse
from loader.errors import EFAULT, ENOMEM, ExecFormatError
from loader.image import ET_DYN, PROT_EXEC, PROT_READ, PROT_WRITE, Image
from loader.plan import PIE_BASE, TASK_SIZE, Mapping, brk_start, load_bias, plan
from tests.unit.loader_files import (
    BASE,
    PAUSE,
    PT_INTERP,
    R,
    W,
    X,
    elf,
    load,
    phdr,
    reader,
    wait_for_pause,
    write_program,
)


def image_of(data: bytes) -> Image:
    return parse(reader(data), len(data))


def planned(data: bytes) -> list[Mapping]:
    image = image_of(data)
    return plan(image, load_bias(image), len(data))


def data_segment(**fields: int) -> dict[str, int]:
    return load(**({"vaddr": BASE + 0x5010, "offset": 0x2010, "flags": R | W, "filesz": 0x20} | fields))


def test_file_mapping() -> None:
    assert planned(elf(load(filesz=0x1001, memsz=0x1001))) == [
        Mapping(BASE, BASE + 0x2000, PROT_READ | PROT_EXEC, 0x1000, BASE + 0x2000, False)
    ]


def test_bss_starts_inside_the_last_page() -> None:
    start = BASE + 0x5000
    assert planned(elf(load(), data_segment(memsz=0x2000)))[1:] == [
        Mapping(start, start + 0x1000, PROT_READ | PROT_WRITE, 0x2000, start + 0x30, False),
        Mapping(start + 0x1000, start + 0x3000, PROT_READ | PROT_WRITE, 0, start + 0x3000, True),
    ]


def test_bss_that_fits_the_last_page() -> None:
    start = BASE + 0x5000
    assert planned(elf(load(), data_segment(memsz=0x30)))[1:] == [
        Mapping(start, start + 0x1000, PROT_READ | PROT_WRITE, 0x2000, start + 0x30, False)
    ]


def test_bss_on_a_page_boundary_clears_nothing() -> None:
    start = BASE + 0x5000
    assert planned(elf(load(), data_segment(filesz=0xFF0, memsz=0x1000)))[1:] == [
        Mapping(start, start + 0x1000, PROT_READ | PROT_WRITE, 0x2000, start + 0x1000, False),
        Mapping(start + 0x1000, start + 0x2000, PROT_READ | PROT_WRITE, 0, start + 0x2000, True),
    ]


def test_bss_of_a_read_only_segment_is_writable_and_leaves_the_file_bytes() -> None:
    start = BASE + 0x5000
    assert planned(elf(load(), data_segment(memsz=0x1000, flags=R | X)))[1:] == [
        Mapping(start, start + 0x1000, PROT_READ | PROT_EXEC, 0x2000, start + 0x1000, False),
        Mapping(start + 0x1000, start + 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC, 0, start + 0x2000, True),
    ]


def test_segment_without_file_bytes() -> None:
    start = BASE + 0x5000
    assert planned(elf(load(), data_segment(filesz=0, memsz=0xFF1)))[1:] == [
        Mapping(start, start + 0x2000, PROT_READ | PROT_WRITE, 0, start + 0x2000, True)
    ]


def test_later_segment_wins_in_the_middle() -> None:
    pages = load(filesz=0x3000, memsz=0x3000, flags=R)
    over = load(vaddr=BASE + 0x1000, offset=0x1000)
    assert planned(elf(pages, over, length=0x5000, entry=BASE + 0x1000)) == [
        Mapping(BASE, BASE + 0x1000, PROT_READ, 0x1000, BASE + 0x1000, False),
        Mapping(BASE + 0x1000, BASE + 0x2000, PROT_READ | PROT_EXEC, 0x1000, BASE + 0x2000, False),
        Mapping(BASE + 0x2000, BASE + 0x3000, PROT_READ, 0x3000, BASE + 0x3000, False),
    ]


def test_later_segment_wins_over_zeros() -> None:
    zeros = load(vaddr=BASE + 0x1000, filesz=0, memsz=0x3000, flags=R | W)
    over = load(vaddr=BASE + 0x2000)
    assert planned(elf(load(), zeros, over))[1:] == [
        Mapping(BASE + 0x1000, BASE + 0x2000, PROT_READ | PROT_WRITE, 0, BASE + 0x2000, True),
        Mapping(BASE + 0x2000, BASE + 0x3000, PROT_READ | PROT_EXEC, 0x1000, BASE + 0x3000, False),
        Mapping(BASE + 0x3000, BASE + 0x4000, PROT_READ | PROT_WRITE, 0, BASE + 0x4000, True),
    ]


def test_cut_through_a_partly_cleared_page() -> None:
    cleared = load(filesz=0x1010, memsz=0x1020, flags=R | W)
    over = load(vaddr=BASE + 0x1000)
    assert planned(elf(cleared, over))[0] == Mapping(
        BASE, BASE + 0x1000, PROT_READ | PROT_WRITE, 0x1000, BASE + 0x1000, False
    )


def test_fixed_program_is_not_moved() -> None:
    assert load_bias(image_of(elf(load()))) == 0


def test_position_independent_program_goes_to_the_base() -> None:
    data = elf(load(vaddr=0x3000), type=ET_DYN, entry=0x3000)
    image = image_of(data)
    assert PIE_BASE == 0x555555554000
    assert planned(data)[0].start == PIE_BASE
    assert load_bias(image, 0x10000) + 0x3000 == 0x10000


def test_base_is_rounded_down_to_the_alignment() -> None:
    data = elf(load(vaddr=0, align=0x200000), type=ET_DYN, entry=0)
    assert planned(data)[0].start == PIE_BASE & -0x200000


def test_image_without_segments_has_no_bias() -> None:
    assert load_bias(image_of(elf(phdr(4), type=ET_DYN))) == 0


def test_heap_starts_after_the_highest_segment() -> None:
    image = image_of(elf(load(vaddr=BASE + 0x8000), data_segment(memsz=0x123)))
    assert brk_start(image, 0) == BASE + 0x9000
    assert brk_start(image, 0x1000) == BASE + 0xA000


def test_load_address_without_room_is_fatal() -> None:
    image = image_of(elf(load(vaddr=0, memsz=0x10000), type=ET_DYN, entry=0))
    with pytest.raises(ExecFormatError) as info:
        plan(image, TASK_SIZE - 0x1000)
    assert (info.value.errno, info.value.fatal) == (ENOMEM, True)
    with pytest.raises(ExecFormatError):
        plan(image, -0x1000)


def test_size_of_the_file_decides_on_clearing_behind_its_end() -> None:
    data = elf(load(), data_segment(offset=0x5010))
    image = image_of(data)
    assert len(plan(image, 0)) == 2
    assert len(plan(image, 0, 0x5001)) == 2
    with pytest.raises(ExecFormatError) as info:
        plan(image, 0, 0x5000)
    assert info.value.errno == EFAULT


LAYOUTS = {
    "code": elf(load(), code=PAUSE),
    "data and bss": elf(load(), data_segment(memsz=0x3000), code=PAUSE),
    "bss in the page": elf(load(), data_segment(memsz=0x30), code=PAUSE),
    "read-only bss": elf(load(), data_segment(memsz=0x3000, flags=R), code=PAUSE),
    "executable bss": elf(load(), data_segment(memsz=0x3000, flags=R | X), code=PAUSE),
    "no access": elf(load(), data_segment(memsz=0x3000, flags=0), code=PAUSE),
    "bss only": elf(load(), data_segment(filesz=0, memsz=0x3000), code=PAUSE),
    "overlap in the middle": elf(
        load(filesz=0x3000, memsz=0x3000, flags=R),
        load(vaddr=BASE + 0x1000, offset=0x1000),
        code=PAUSE,
        entry=BASE + 0x1000,
        length=0x5000,
    ),
    "overlap of zeros": elf(
        load(), load(vaddr=BASE + 0x1000, filesz=0, memsz=0x3000), load(vaddr=BASE + 0x2000), code=PAUSE
    ),
    "descending": elf(load(vaddr=BASE + 0x4000), load(), code=PAUSE),
    "position independent": elf(
        load(vaddr=0x1000), data_segment(vaddr=0x9010, memsz=0x2000), type=ET_DYN, entry=0x1000, code=PAUSE
    ),
    "aligned to 2 MiB": elf(load(vaddr=0, align=0x200000), type=ET_DYN, entry=0, code=PAUSE),
}


def native_maps(path: Path) -> list[tuple[int, int, int, int, bool]]:
    """What of the address space of a pausing program came from its file."""
    process = subprocess.Popen([path], env={})
    try:
        wait_for_pause(process.pid)
        lines = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8").splitlines()
    finally:
        process.kill()
        process.wait()
    found = []
    for line in lines:
        span, prot, offset, _, _, *name = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in span.split("-"))
        if name and name[0].startswith("["):
            continue
        letters = {"r": PROT_READ, "w": PROT_WRITE, "x": PROT_EXEC}
        bits = sum(bit for letter, bit in letters.items() if letter in prot)
        found.append((start, end, bits, int(offset, 16), not name))
    return found


def joined(mappings: list[Mapping]) -> list[tuple[int, int, int, int, bool]]:
    """Mappings as /proc/pid/maps shows them: anonymous neighbours of one kind are one."""
    shown: list[tuple[int, int, int, int, bool]] = []
    for start, end, prot, offset, _, anonymous in mappings:
        if anonymous and shown and shown[-1][1:3] == (start, prot) and shown[-1][4]:
            start = shown.pop()[0]
        shown.append((start, end, prot, offset, anonymous))
    return shown


@pytest.mark.native
@pytest.mark.parametrize("data", LAYOUTS.values(), ids=LAYOUTS)
def test_linux_maps_the_same(data: bytes, tmp_path: Path) -> None:
    native = native_maps(write_program(tmp_path, data))
    image = image_of(data)
    bias = native[0][0] - image.min_vaddr if image.kind == ET_DYN else 0
    assert bias % max(image.alignment, 0x1000) == 0 or image.segments[0].vaddr
    assert joined(plan(image, bias, len(data))) == native


@pytest.mark.native
def test_linux_gives_a_program_with_interpreter_the_base_and_its_maps(tmp_path: Path) -> None:
    interp = write_program(tmp_path, elf(load(vaddr=0), type=ET_DYN, entry=0, code=PAUSE), "interp")
    path = bytes(interp) + b"\0"
    data = elf(
        load(vaddr=0x2000),
        phdr(PT_INTERP, offset=0x2000, filesz=len(path)),
        type=ET_DYN,
        entry=1 << 63,
        data={0x2000: path},
    )
    main = write_program(tmp_path, data)
    process = subprocess.Popen(["setarch", "-R", main], env={"PATH": "/usr/bin:/bin"})
    try:
        wait_for_pause(process.pid)
        maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()
    [start] = [int(line.split("-")[0], 16) for line in maps.splitlines() if line.endswith(str(main))]
    assert planned(data)[0].start == start == PIE_BASE
