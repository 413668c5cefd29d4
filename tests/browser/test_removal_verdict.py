"""The badge on RemovalCheck."""

from __future__ import annotations

from typing import Any

import pytest
from browser.api_graphs import open_graph
from browser.canvas import Canvas
from browser.conftest import TakePicture
from PIL import Image
from support.server import ComfyServer

BOTH = pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)

GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {
        "class_type": "ContentAwareFill",
        "inputs": {"image": ["1", 0], "mask": ["1", 1], "method": "telea"},
    },
    "3": {
        "class_type": "RemovalCheck",
        "inputs": {"before": ["2", 0], "after": ["1", 0], "mask": ["1", 1], "threshold": 0.5},
    },
    "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
}
"""A removal that is undone before it is checked: its object comes back."""


@BOTH
@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_the_badge_tells_what_the_node_does(
    canvas: Canvas,
    server: ComfyServer,
    masked_photo: Image.Image,
    outcome: str,
    take_picture: TakePicture,
) -> None:
    check = {**GRAPH["3"]["inputs"], "after": ["2", 0] if outcome == "passed" else ["1", 0]}
    open_graph(canvas, {**GRAPH, "3": {"class_type": "RemovalCheck", "inputs": check}})
    badge = canvas.page.locator(".cleanplate-verdict")
    assert badge.get_attribute("data-outcome") == "waiting"
    canvas.set_widget("1", "image", server.upload(masked_photo))
    (verdict,) = canvas.run().outputs["3"]["cleanplate_check"]
    canvas.page.locator(f".cleanplate-verdict[data-outcome={outcome}]").wait_for()
    assert verdict["passed"] == (outcome == "passed")
    assert f"{verdict['score']:.2f}" in badge.inner_text()
    if outcome == "failed":
        take_picture("RemovalCheck", folder="js/docs/images", clip=canvas.bring_to_view("3"))
    assert canvas.errors == []
