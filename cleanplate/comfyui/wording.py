"""Making text of unknown length and shape fit into one sentence."""

from __future__ import annotations

from typing import Any

_LONGEST = 400


def one_line(text: Any) -> str:
    """The words of a text with single spaces between; nothing for None."""
    return " ".join(str(text or "").split())


def cut(text: str) -> str:
    """The text, its end left out where it is too long for a sentence."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
