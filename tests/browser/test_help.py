"""The help page of every node, opened as a user does, and its picture."""

from __future__ import annotations

import json

import pytest
from browser.canvas import Canvas
from browser.conftest import TakePicture
from support.locate import PACK

PAGES = sorted((PACK / "js" / "docs").glob("*.md"))
AFTER_A_RUN = {"CompareImages", "CropAroundMask", "DefectDetect", "RemovalCheck"}
"""Nodes that show something of their own: other tests take their picture."""


def test_every_node_can_be_seen_for_its_help_page(
    canvas: Canvas, take_picture: TakePicture
) -> None:
    for path in PAGES:
        place = canvas.place_of(canvas.new_node(path.stem))
        assert min(place["width"], place["height"]) > 50
        if path.stem not in AFTER_A_RUN:
            take_picture(path.stem, folder="js/docs/images", clip=place)
    assert canvas.errors == []


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_every_node_has_a_help_page_with_a_picture(canvas: Canvas) -> None:
    for path in PAGES:
        node = canvas.new_node(path.stem)
        canvas.page.get_by_test_id("info-button").click()
        heading = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        shown = f"(shown) => shown.textContent.trim() === {json.dumps(heading)}"
        canvas.select_until(node, f"[...document.querySelectorAll('h1')].some({shown})")
        canvas.page.wait_for_function(
            """name => [...document.querySelectorAll("img")]
                .some((shown) => shown.src.endsWith(`/docs/images/${name}.jpg`)
                    && shown.naturalWidth > 0)""",
            arg=path.stem,
        )
    assert canvas.errors == []
