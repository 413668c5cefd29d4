"""The fills that need no weights, by name."""

from __future__ import annotations

from . import Fill, classical
from .patchmatch import PatchMatch

METHODS: dict[str, Fill] = {"patchmatch": PatchMatch(), **classical.METHODS}
"""The best first."""
