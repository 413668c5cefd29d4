"""Fixtures for the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.peer import Peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server that fails as it is told to; skips the test without aiohttp."""
    from support.peer import serving

    with serving() as made:
        yield made
