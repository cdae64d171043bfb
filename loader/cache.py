"""Parsed images kept by what they were parsed from, so that a known program is started without a parser."""

from __future__ import annotations

from struct import Struct, error

from loader.image import Image

HEAD_SIZE = 4096
"""So much of a file's start is compared; what lies beyond it in a file makes that file unknown."""

_HEADER_SIZE = 64
_MAX_IMAGES = 256
_MAGIC = b"LEc1"
_ENTRY = Struct("<?II")


class ImageCache:
    """Images of programs and of interpreters.

    An Image depends on nothing but the first `Image.extent` bytes of its file, so those bytes are the key and
    no entry can ever be stale.
    """

    __slots__ = ("_images",)

    def __init__(self) -> None:
        self._images: dict[tuple[bytes, bool], tuple[bytes, Image]] = {}

    def find(self, head: bytes, *, interpreter: bool = False) -> Image | None:
        """The image of the file that begins with `head`, its first `HEAD_SIZE` bytes, if it is known."""
        prefix, image = self._images.get((head[:_HEADER_SIZE], interpreter), (b"", None))
        return image if head.startswith(prefix) else None

    def add(self, head: bytes, image: Image, *, interpreter: bool = False) -> None:
        """Keeps an image unless more was read for it than `head` holds; of too many the oldest goes."""
        if image.extent > len(head):
            return
        if len(self._images) >= _MAX_IMAGES:
            del self._images[next(iter(self._images))]
        self._images[head[:_HEADER_SIZE], interpreter] = head[: image.extent], image

    def to_bytes(self) -> bytes:
        """The bytes that `from_bytes` reads."""
        pieces = [_MAGIC]
        for (_, interpreter), (prefix, image) in self._images.items():
            data = image.to_bytes()
            pieces += [_ENTRY.pack(interpreter, len(prefix), len(data)), prefix, data]
        return b"".join(pieces)

    @classmethod
    def from_bytes(cls, data: bytes) -> ImageCache:
        """The cache that `to_bytes` wrote; what is damaged or of another version is left out."""
        cache = cls()
        position = len(_MAGIC)
        if not data.startswith(_MAGIC):
            return cache
        try:
            while position < len(data):
                interpreter, prefix_size, image_size = _ENTRY.unpack_from(data, position)
                middle = position + _ENTRY.size + prefix_size
                prefix = data[position + _ENTRY.size : middle]
                position = middle + image_size
                image = Image.from_bytes(data[middle:position])
                if image is not None and image.extent == len(prefix):
                    cache.add(prefix, image, interpreter=interpreter)
        except error:
            pass
        return cache
