"""The workflows that come with the pack, and a picture to run them on."""

from __future__ import annotations

import copy
import json

import numpy as np
from PIL import Image

from .locate import PACK

WORKFLOWS = sorted(path.stem for path in (PACK / "workflows").glob("*.json"))
REMOVAL = [name for name in WORKFLOWS if name.startswith("object_removal")]
FOR_PICTURES = [name for name in REMOVAL if not name.endswith("_video")]
SKY = (70, 110, 190)


def load(name: str) -> dict:
    """The API twin of a workflow."""
    return json.loads((PACK / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))


def of_class(prompt: dict, class_type: str) -> str:
    """The id of the only node of a class."""
    (node_id,) = [k for k, n in prompt.items() if n["class_type"] == class_type]
    return node_id


def settings(prompt: dict, **by_class: dict) -> dict:
    """A copy of a prompt with other values for the only node of each class named."""
    prompt = copy.deepcopy(prompt)
    for class_type, values in by_class.items():
        prompt[of_class(prompt, class_type)]["inputs"].update(values)
    return prompt


def every(prompt: dict, **by_class: dict) -> dict:
    """A copy of a prompt with other values for every node of each class named."""
    prompt = copy.deepcopy(prompt)
    for node in prompt.values():
        node["inputs"].update(by_class.get(node["class_type"], {}))
    return prompt


def titled(prompt: dict, title: str) -> str:
    """The id of the only node of a title."""
    (node_id,) = [k for k, n in prompt.items() if n.get("_meta", {}).get("title") == title]
    return node_id


def scene(
    width: int, height: int, box: tuple[int, int, int, int]
) -> tuple[Image.Image, np.ndarray]:
    """A smooth sky with a red object, painted over in the mask editor's way (transparent)."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    ramp = np.stack([SKY[0] + 30 * x, SKY[1] + 20 * y, SKY[2] - 25 * (x + y)], axis=-1)
    pixels = np.concatenate([ramp, np.full_like(ramp[..., :1], 255)], axis=-1).astype(np.uint8)
    mask = np.zeros((height, width), bool)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = True
    pixels[mask] = (200, 20, 20, 0)
    return Image.fromarray(pixels), mask
