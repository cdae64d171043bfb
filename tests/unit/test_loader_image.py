"""loader.image and loader.cache: images outlive the run that parsed them, and damaged bytes are no image."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from loader.cache import HEAD_SIZE, ImageCache
from loader.elf import parse
from loader.image import Image, Segment
from tests.unit.loader_files import BASE, PT_INTERP, R, W, elf, load, phdr, reader

words = st.integers(0, (1 << 64) - 1)
segments = st.builds(Segment, words, words, words, words, st.integers(0, 7))
images = st.builds(
    Image,
    st.sampled_from((0, 2, 3)), words, st.lists(segments, max_size=4).map(tuple), words, st.just(56),
    st.integers(0, 65535), st.none() | st.binary(max_size=40), st.booleans(), words, words, words, words,
)  # fmt: skip

PLAIN = elf(load())
OTHER = elf(load(), phdr(4))
DYNAMIC = elf(load(), phdr(PT_INTERP, offset=0x2000, filesz=6), data={0x2000: b"/ld.so"[:5] + b"\0"})


def image_of(data: bytes) -> Image:
    return parse(reader(data), len(data))


@given(images)
def test_image_round_trip(image: Image) -> None:
    assert Image.from_bytes(image.to_bytes()) == image


@given(images, st.data())
def test_cut_or_changed_image_bytes_never_raise(image: Image, data: st.DataObject) -> None:
    whole = image.to_bytes()
    assert Image.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    position = data.draw(st.integers(0, len(whole) - 1))
    Image.from_bytes(whole[:position] + b"\xff" + whole[position + 1 :])


def test_another_versions_bytes_are_no_image() -> None:
    assert Image.from_bytes(b"LEi0" + image_of(PLAIN).to_bytes()[4:]) is None
    assert Image.from_bytes(b"") is None


def test_cache_knows_a_program_by_its_bytes() -> None:
    cache = ImageCache()
    assert cache.find(PLAIN) is None
    cache.add(PLAIN[:HEAD_SIZE], image_of(PLAIN))
    assert cache.find(PLAIN[:HEAD_SIZE]) == image_of(PLAIN)
    assert cache.find(PLAIN[:64]) is None
    assert cache.find(b"") is None


def test_cache_sees_a_change_in_the_program_headers() -> None:
    cache = ImageCache()
    cache.add(PLAIN, image_of(PLAIN))
    changed = elf(load(vaddr=BASE + 0x1000))
    assert changed[:64] == PLAIN[:64]
    assert cache.find(changed) is None
    assert cache.find(PLAIN[:0x2000] + b"other data") is not None


def test_cache_keeps_interpreters_apart() -> None:
    cache = ImageCache()
    cache.add(PLAIN, image_of(PLAIN), interpreter=True)
    assert cache.find(PLAIN) is None
    assert cache.find(PLAIN, interpreter=True) is not None


def test_cache_leaves_out_what_it_cannot_compare() -> None:
    cache = ImageCache()
    cache.add(DYNAMIC[:HEAD_SIZE], image_of(DYNAMIC))
    assert cache.find(DYNAMIC) is None
    cache.add(DYNAMIC, image_of(DYNAMIC))
    assert cache.find(DYNAMIC) is not None


def test_cache_is_bounded() -> None:
    cache = ImageCache()
    files = [elf(load(), entry=BASE + number) for number in range(300)]
    for data in files:
        cache.add(data[:HEAD_SIZE], image_of(PLAIN)._replace(entry=0))
    assert cache.find(files[0]) is None
    assert cache.find(files[-1]) is not None


def test_cache_round_trip() -> None:
    cache = ImageCache()
    cache.add(PLAIN, image_of(PLAIN))
    cache.add(DYNAMIC, image_of(DYNAMIC), interpreter=True)
    again = ImageCache.from_bytes(cache.to_bytes())
    assert again.find(PLAIN) == image_of(PLAIN)
    assert again.find(DYNAMIC, interpreter=True) == image_of(DYNAMIC)


def test_damaged_cache_is_a_smaller_cache() -> None:
    cache = ImageCache()
    cache.add(PLAIN, image_of(PLAIN))
    whole = cache.to_bytes()
    for end in range(len(whole)):
        assert ImageCache.from_bytes(whole[:end]).find(PLAIN) is None
    assert ImageCache.from_bytes(b"noise" * 9).find(PLAIN) is None
    assert ImageCache.from_bytes(whole + b"tail").find(PLAIN) is not None
    for position in range(len(whole)):
        ImageCache.from_bytes(whole[:position] + b"\xff" + whole[position + 1 :]).find(PLAIN)


def test_known_programs_start_without_a_parser() -> None:
    code = "import sys, loader.cache, loader.plan, loader.script, loader.stack, loader.elf; "
    code += "sys.exit(any(m in sys.modules for m in ('elftools', 'dataclasses', 'inspect', 'asyncio')))"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)


def test_writable_segment_keeps_its_protection() -> None:
    image = image_of(elf(load(flags=R | W)))
    assert image.segments[0].prot == 3
