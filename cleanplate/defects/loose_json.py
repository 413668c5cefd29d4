"""Read JSON out of a text that a language model wrote."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any


def read_value(part: str) -> Any:
    """A value from JSON, or from what resembles it; None if it is neither."""
    part = part.strip()
    without = re.sub(r",(\s*[\]}])", r"\1", part)
    for attempt in (part, without):
        try:
            return json.loads(attempt)
        except (ValueError, RecursionError):
            continue
    try:
        return ast.literal_eval(without)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def spans(text: str) -> list[str]:
    """Lists and objects that are not inside another, largest first, up to one that breaks off."""
    spans, place = [], 0
    while place < len(text):
        if text[place] in "[{":
            end = _end(text, place)
            if not end:
                break
            spans.append(text[place:end])
            place = end
        else:
            place += 1
    return sorted(spans, key=len, reverse=True)


def objects(text: str, names: Sequence[str]) -> Iterator[str]:
    """Objects without an object inside that have one of these names."""
    for match in re.finditer(r"\{[^{}]*\}", text):
        if any(f"{quote}{name}{quote}" in match[0] for name in names for quote in "\"'"):
            yield match[0]


def _end(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; 0 if it is not."""
    depth, quote, place = 0, "", start
    while place < len(text):
        sign = text[place]
        if quote:
            if sign == "\\":
                place += 1
            elif sign == quote:
                quote = ""
        elif sign == '"':
            quote = sign
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    return 0
