"""Write pictures to files row by row, so that they need not fit into memory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..geometry import Size

FORMATS = ("PNG 8 bit", "PNG 16 bit", "TIFF 8 bit", "TIFF 16 bit")

_LEVEL = 4
_STRIP = 64
_UNTIL_BIG = 3 << 30

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Writer(Protocol):
    """Takes the rows of a picture from top to bottom."""

    def write(self, rows: Tensor) -> None:
        """Append rows ``[n, width, channels]``, values in 0..1."""
        ...

    def finish(self) -> None:
        """Write what is left and the end of the file."""
        ...


def suffix(form: str) -> str:
    """The file name's ending for one of `FORMATS`."""
    return ".png" if form.startswith("PNG") else ".tiff"


@contextmanager
def saved(
    path: Path, size: Size, channels: int, form: str, texts: Mapping[str, str] | None = None
) -> Iterator[Writer]:
    """Write a picture under a temporary name, which becomes `path` once all of it is written.

    Whatever ends the writing early, the user's cancel included, leaves no file behind.

    Args:
        path: the file; one that exists is replaced.
        size: of the picture.
        channels: 3, or 4 with alpha.
        form: one of `FORMATS`.
        texts: names and contents that a PNG shall carry (Latin-1 names up to 79 characters).

    Raises:
        ValueError: another format.
        OSError: the folder cannot be written to, or the disk is full; it says which file.
    """
    if form not in FORMATS:
        raise ValueError(f"format is {form!r}: choose one of {', '.join(FORMATS)}.")
    bits = 16 if "16" in form else 8
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            writer: Writer
            if form.startswith("PNG"):
                writer = PngWriter(file, size, channels, bits, texts or {})
            else:
                writer = TiffWriter(file, size, channels, bits)
            yield writer
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(
            f"{path.name} could not be written to {path.parent}: {error.strerror or error}. Free "
            "some space or choose another folder; nothing was left there."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def samples(rows: Tensor, bits: int) -> Samples:
    """Integers nearest to values in 0..1 of that range of 8 or 16 bits."""
    most = (1 << bits) - 1
    scaled = (rows.to(torch.float32) * most + 0.5).clamp_(0, most)
    if bits == 8:
        return scaled.to(torch.uint8).cpu().numpy()
    return scaled.to(torch.int32).cpu().numpy().astype(np.uint16)


class PngWriter:
    """A PNG, after the specification of the W3C (third edition); rows are filtered by "Up".

    Args:
        file: open for writing.
        size: of the picture.
        channels: 3 or 4.
        bits: 8 or 16 for each sample.
        texts: carried as tEXt or, where they are not Latin-1, as iTXt.
    """

    def __init__(
        self, file: BinaryIO, size: Size, channels: int, bits: int, texts: Mapping[str, str]
    ) -> None:
        self._file, self._bits = file, bits
        self._above = np.zeros((1, size.width * channels * bits // 8), np.uint8)
        self._packer = zlib.compressobj(_LEVEL)
        colour = {3: 2, 4: 6}[channels]
        file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(
            b"IHDR", struct.pack(">IIBBBBB", size.width, size.height, bits, colour, 0, 0, 0)
        )
        for name, text in texts.items():
            self._text(name, text)

    def write(self, rows: Tensor) -> None:
        numbers = samples(rows, self._bits)
        if self._bits == 16:
            numbers = numbers.astype(">u2")
        lines = np.ascontiguousarray(numbers).view(np.uint8).reshape(len(numbers), -1)
        filtered = np.empty((len(lines), 1 + lines.shape[1]), np.uint8)
        filtered[:, 0] = 2
        np.subtract(lines, np.concatenate((self._above, lines[:-1])), out=filtered[:, 1:])
        self._above = lines[-1:].copy()
        self._chunk(b"IDAT", self._packer.compress(filtered.data))

    def finish(self) -> None:
        self._chunk(b"IDAT", self._packer.flush())
        self._chunk(b"IEND", b"", always=True)

    def _text(self, name: str, text: str) -> None:
        try:
            self._chunk(b"tEXt", name.encode("latin-1") + b"\0" + text.encode("latin-1"))
        except UnicodeEncodeError:
            begin = name.encode("latin-1", "replace") + b"\0\0\0\0\0"
            self._chunk(b"iTXt", begin + text.encode("utf-8"))

    def _chunk(self, kind: bytes, data: bytes, always: bool = False) -> None:
        if not data and not always:
            return
        self._file.write(struct.pack(">I", len(data)) + kind + data)
        self._file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


class TiffWriter:
    """A TIFF 6.0 of Deflate-packed strips with horizontal differencing; a BigTIFF when large.

    Args:
        file: open for writing, and able to seek.
        size: of the picture.
        channels: 3, or 4 where the last is unassociated alpha.
        bits: 8 or 16 for each sample.
        big: write a BigTIFF, whose offsets have 64 bits; if not given, where 32 might not do.
    """

    def __init__(
        self, file: BinaryIO, size: Size, channels: int, bits: int, big: bool | None = None
    ) -> None:
        self._file, self._size, self._channels, self._bits = file, size, channels, bits
        self._big = size.area * channels * bits // 8 > _UNTIL_BIG if big is None else big
        self._strips: list[tuple[int, int]] = []
        self._held: list[Samples] = []
        self._count = 0
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if self._big else b"II*\0\0\0\0\0")

    def write(self, rows: Tensor) -> None:
        numbers = samples(rows, self._bits)
        while len(numbers):
            part = numbers[: _STRIP - self._count]
            self._held.append(part)
            self._count += len(part)
            numbers = numbers[len(part) :]
            if self._count == _STRIP:
                self._flush()

    def finish(self) -> None:
        if self._held:
            self._flush()
        start = self._directory()
        self._file.seek(8 if self._big else 4)
        self._file.write(struct.pack("<Q" if self._big else "<I", start))

    def _flush(self) -> None:
        lines = np.concatenate(self._held)
        steps = lines.copy()
        np.subtract(lines[:, 1:], lines[:, :-1], out=steps[:, 1:])
        data = zlib.compress(steps.tobytes(), _LEVEL)
        self._strips.append((self._file.tell(), len(data)))
        self._file.write(data)
        self._held, self._count = [], 0

    def _directory(self) -> int:
        """Write the tags; returns where."""
        short, long = (3, "H"), (16, "Q") if self._big else (4, "I")
        tags = [
            (256, long, [self._size.width]),
            (257, long, [self._size.height]),
            (258, short, [self._bits] * self._channels),
            (259, short, [8]),  # Deflate
            (262, short, [2]),  # RGB
            (273, long, [start for start, _ in self._strips]),
            (277, short, [self._channels]),
            (278, long, [_STRIP]),
            (279, long, [count for _, count in self._strips]),
            (284, short, [1]),  # samples side by side
            (317, short, [2]),  # horizontal differencing
        ]
        if self._channels == 4:
            tags.append((338, short, [2]))  # unassociated alpha
        offset, room = ("Q", 8) if self._big else ("I", 4)
        entries = b""
        for tag, (kind, code), values in tags:
            data = struct.pack(f"<{len(values)}{code}", *values)
            if len(data) > room:
                place = self._file.seek(0, os.SEEK_END)
                self._file.write(data)
                data = struct.pack(f"<{offset}", place)
            entries += struct.pack(f"<HH{offset}", tag, kind, len(values)) + data.ljust(room, b"\0")
        # Directories begin at even places.
        self._file.write(b"\0" * (self._file.seek(0, os.SEEK_END) % 2))
        start = self._file.tell()
        self._file.write(struct.pack("<Q" if self._big else "<H", len(tags)))
        self._file.write(entries + struct.pack(f"<{offset}", 0))
        return start
