"""Filling holes. Every fill is a `Fill`: it sees one crop and knows nothing of the whole image."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Fill = Callable[[Tensor, Tensor], Tensor]
"""``fill(image [1, h, w, 3] float32 in 0..1, hole [1, h, w] float32, 0 or 1) -> [1, h, w, 3]``.

Part of the crop is always known. What is returned outside the hole is not used.
"""
