"""What the user sets, and what its value means for the input that it is set on.

An input's `spec` is its entry in ``/object_info``: the type or the choices, then maybe options.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn


@dataclass(frozen=True)
class Setting:
    """One ``NODE.INPUT=VALUE`` as given by the user; `left` is what stands before the ``=``."""

    left: str
    value: str

    def __str__(self) -> str:
        return f"{self.left}={self.value}"


def parse_setting(text: str) -> Setting:
    """Take ``NODE.INPUT=VALUE`` apart at its first ``=``.

    Raises:
        ValueError: there is no ``=``, or no ``.`` before it.
    """
    left, equals, value = text.partition("=")
    if not equals or not all(left.partition(".")):
        raise ValueError(f"{text!r} is not of the form NODE.INPUT=VALUE.")
    return Setting(left, value)


def takes_uploads(spec: list[Any]) -> bool:
    """Whether the input has an upload button, as LoadImage and its like have."""
    options = _options(spec)
    return any(key.endswith("_upload") and value for key, value in options.items())


def choices(spec: list[Any]) -> list[Any]:
    """What the input offers to choose from; empty where it takes anything."""
    found = spec[0] if isinstance(spec[0], list) else _options(spec).get("options")
    return found if isinstance(found, list) else []


def local_file(setting: Setting, spec: list[Any]) -> Path | None:
    """The file here that a setting means; None for the name of a file on the server.

    Raises:
        ValueError: it is neither.
    """
    path = Path(setting.value).expanduser()
    if path.is_file():
        return path
    if setting.value in choices(spec) or setting.value.endswith("]"):
        return None
    if path.is_dir():
        raise ValueError(f"{setting}: {path} is a folder, give the name of a picture in it.")
    if len(PurePosixPath(setting.value).parts) == 1 or path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{setting}: there is no file {path} here, and none of that name in the server's input "
            "folder."
        )
    return None  # In a subfolder there, which the list of choices does not show.


def parse_value(text: str, spec: list[Any]) -> Any:
    """JSON where the text reads as JSON, else text; a text or a choice is taken as it stands."""
    if text in choices(spec):
        return text
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text
    if spec[0] == "STRING" and not isinstance(value, str | list):
        return text
    return value


def _options(spec: list[Any]) -> dict[str, Any]:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
