"""The pack's texts in other languages: what there is to say, and what a translation must keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .locate import PACK

LOCALES = PACK / "locales"
SCRIPTS: Mapping[str, str] = {
    "ko": r"[가-힣]",
    "ja": r"[ぁ-ゖァ-ヺ一-鿿]",
    "zh": r"[一-鿿]",
}
"""Each translated language, and a letter that only its own words have."""

Texts = dict[str, Any]
"""Texts by key, in the nesting of a locale file."""

_NOT_OURS = {"sampler_name", "scheduler"}
"""Choices whose options are ComfyUI's."""
_FILE = re.compile(r"\.\w{2,11}$")
_SYNTAX = re.compile(r"[{}|@]")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:x\d+)?")
_KEPT = re.compile(
    r"%[\w:-]+%"
    r"|\b\w+(?:/\w+)+"
    r"|[\w./-]*\.(?:safetensors|ckpt|pth|pt|onnx)\b"
    r"|\b\w+(?:_\w+)+\b"  # an id
    r"|\b\w*[a-z][A-Z]\w*\b"  # LaMa, CodeFormer
    r"|\b\d*[A-Z][A-Z0-9]+\b"  # PNG, 4K
    r"|\b\d+[A-Z]\b"
    r"|`[^`]+`"
)
_ENGLISH = re.compile(r"(?:\b[a-z]+ ){4}[a-z]+\b")
"""More words than the name of an option has."""
_QUOTED = re.compile(r"(?<!\w)'([^']+)'(?!\w)")


def key_of(name: str) -> str:
    """The key of a name in a locale file, as the frontend makes it."""
    return name.replace(".", "_")


def read_locale(language: str, name: str) -> Texts:
    """A locale file; empty if the language has none of that name."""
    path = LOCALES / language / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_locale(language: str, name: str, texts: Texts) -> None:
    path = LOCALES / language / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(texts, ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")


def node_texts(schema: Any) -> Texts:
    """All that a schema says to a user, in the form of an entry of nodeDefs.json."""
    inputs: Texts = {}
    for name, label, item in _inputs(schema.inputs):
        texts = _input_texts(label, item)
        if inputs.setdefault(key_of(name), texts) != texts:
            raise ValueError(f"{schema.node_id}: two inputs {name} of different texts")
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": inputs,
        "outputs": {
            str(i): {"name": output.display_name, "tooltip": output.tooltip}
            for i, output in enumerate(schema.outputs)
        },
    }


def _inputs(inputs: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Name in the graph, label and declaration of each input, those behind a choice too."""
    for item in inputs:
        name = f"{prefix}{item.id}"
        yield name, item.display_name or item.id, item
        for option in _options(item):
            yield from _inputs(getattr(option, "inputs", ()), f"{name}.")


def _options(item: Any) -> list[Any]:
    return list(getattr(item, "options", None) or ())


def _input_texts(label: str, item: Any) -> Texts:
    values = [str(getattr(option, "key", option)) for option in _options(item)]
    options = {
        key_of(value): value
        for value in values
        if item.id not in _NOT_OURS and not _FILE.search(value)
    }
    switch = {"on": getattr(item, "label_on", None), "off": getattr(item, "label_off", None)}
    options |= {key: text for key, text in switch.items() if text}
    texts: Texts = {"name": label, "tooltip": item.tooltip}
    return {**texts, "options": options} if options else texts


def flat(texts: Texts, path: str = "") -> dict[str, str]:
    """The texts by their whole path, in order."""
    found: dict[str, str] = {}
    for key, value in texts.items():
        here = f"{path}/{key}"
        found |= flat(value, here) if isinstance(value, dict) else {here: value}
    return found


def kept_parts(english: str) -> list[str]:
    """The parts of a text that are the same in every language."""
    return [*_KEPT.findall(english), *_QUOTED.findall(english)]


def complaints(
    english: str, text: str, script: str, node_names: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """What is wrong with the translation of a sentence.

    `node_names` holds, for each way English names a node, the names that may stand for it.
    """
    wrong = []
    rest = english
    for name, others in sorted(node_names.items(), key=lambda pair: -len(pair[0])):
        pattern = rf"\b{re.escape(name)}(?!\w)"
        if re.search(pattern, rest):
            rest = re.sub(pattern, " ", rest)
            if not any(other in text for other in others):
                wrong.append(f"does not name the node {name}")
    if not re.search(script, text) or text == english:
        wrong.append("is not translated")
    if left := _ENGLISH.search(text):
        wrong.append(f"is translated only in part: {left[0]}")
    if _SYNTAX.search(text):
        wrong.append("holds a character that the frontend takes for syntax")
    if not text.endswith((".", "。")):
        wrong.append("does not end with a full stop")
    wrong += [f"lacks {part}" for part in kept_parts(rest) if part.lower() not in text.lower()]
    for number in _NUMBER.findall(rest):
        if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text):
            wrong.append(f"lacks the number {number}")
    return wrong


def options_complaints(english: Texts, translated: Texts) -> list[str]:
    """What is wrong with the naming of options in the tooltip of a choice."""
    wrong = []
    for key, value in english.get("options", {}).items():
        # "none: keep the colours" explains an option; "none" alone may be any word.
        if re.search(rf"(?:^|[.;] ){re.escape(value)}: ", english["tooltip"]):
            parts = {value, translated["options"][key]}
            wrong += [f"lacks the option {p}" for p in parts if p not in translated["tooltip"]]
    return wrong
