"""Fixtures for the unit tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.peer import Peer
    from torch import Tensor

    from cleanplate.faces.mtcnn import Mtcnn


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server that fails as it is told to; skips the test without aiohttp."""
    from support.peer import serving

    with serving() as made:
        yield made


@pytest.fixture(scope="session")
def networks() -> Mtcnn:
    """The built-in face detector; skips the test without its weights."""
    from cleanplate.faces.mtcnn import load_mtcnn

    try:
        return load_mtcnn()
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def photo() -> Callable[[str], Tensor]:
    """Gives a picture of scikit-image as ``[1, H, W, 3]``; skips the test without it."""
    import numpy as np
    import torch

    data = pytest.importorskip("skimage.data", reason="needs scikit-image's photos")

    @cache
    def load(name: str) -> Tensor:
        pixels = np.atleast_3d(getattr(data, name)())[..., :3]
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        return torch.from_numpy(pixels.astype(np.float32))[None] / 255

    return load


@pytest.fixture(scope="session")
def astronaut(photo: Callable[[str], Tensor]) -> Tensor:
    """A photo of one face, 512x512."""
    return photo("astronaut")
