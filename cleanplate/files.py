"""Folders that are checked before work starts, files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def check_folder(folder: str | Path) -> Path:
    """Make sure that a folder exists and takes new files, by making one and removing it.

    Raises:
        OSError: it does not exist, is not a folder, or refuses the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "it does not exist"
        raise OSError(f"cannot write into the folder {folder}: {what}.")
    probe = _temporary_name(folder / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OSError(f"cannot write into the folder {folder}: {error.strerror}.") from error
    return folder


def check_new_folder(folder: str | Path) -> Path:
    """Make sure that a folder which may be missing can be made and written to, and make nothing.

    Raises:
        OSError: it, or the nearest folder above it that exists, takes no files.
    """
    folder = Path(folder)
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    check_folder(nearest)
    return folder


def make_folder(folder: str | Path) -> Path:
    """Make a folder with its parents where it is missing, and check it as `check_folder` does.

    Raises:
        OSError: it cannot be made or takes no files.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot make the folder {folder}: {error.strerror}.") from error
    return check_folder(folder)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(content)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path` when the block ends, and vanishes when the block fails.

    Raises:
        OSError: it cannot be written.
    """
    temporary = _temporary_name(path)
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.stem[:40]}-{uuid.uuid4().hex}.tmp")
