"""The report on DefectDetect: its rows show where the defects are."""

from __future__ import annotations

from typing import Any

import pytest
from browser.api_graphs import open_graph
from browser.canvas import Canvas
from browser.conftest import TakePicture
from PIL import Image, ImageDraw
from support.server import ComfyServer

BOTH = pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)

GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "DefectDetect", "inputs": {"image": ["1", 0], "mask": ["1", 1]}},
    "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    "4": {"class_type": "MaskPreview", "inputs": {"mask": ["2", 1]}},
}


@pytest.fixture
def marked(photo: Image.Image) -> Image.Image:
    """The photo, too dark as a whole, with a part of it marked as defective."""
    dark = photo.point(lambda value: value // 10)
    alpha = Image.new("L", photo.size, 255)
    ImageDraw.Draw(alpha).rectangle((40, 60, 139, 179), fill=0)
    dark.putalpha(alpha)
    return dark


@BOTH
def test_a_row_shows_its_place(
    canvas: Canvas, server: ComfyServer, marked: Image.Image, take_picture: TakePicture
) -> None:
    open_graph(canvas, GRAPH)
    canvas.set_widget("1", "image", server.upload(marked))
    (report,) = canvas.run().outputs["2"]["cleanplate_defects"]
    canvas.command("Comfy.Canvas.FitView")
    rows = canvas.page.locator(".cd-row")
    rows.first.wait_for()
    defects = report["defects"]
    assert rows.count() == len(defects) > 1
    places = [defect["box"] for defect in defects]
    assert any(place is None for place in places)
    assert any(place is not None for place in places)
    mark = canvas.page.locator(".cleanplate-defects rect.cd-mark")
    assert mark.count() == 0
    for row, defect in zip(rows.all(), defects, strict=True):
        row.scroll_into_view_if_needed()
        row.hover()
        assert row.locator("strong").inner_text() == defect["title"]
        assert mark.get_attribute("data-group") == defect["group"]
        place = defect["box"] or {"x": 0, "y": 0, **size_of(report)}
        drawn = {
            side: int(mark.get_attribute(side) or -1) for side in ("x", "y", "width", "height")
        }
        assert drawn == {side: place[side] for side in drawn}
    canvas.page.locator(".cd-text").hover()
    mark.wait_for(state="detached")
    rows.last.focus()
    assert mark.count() == 1
    take_picture("DefectDetect", folder="js/docs/images", clip=canvas.bring_to_view("2"))
    assert canvas.errors == []


def size_of(report: dict[str, Any]) -> dict[str, int]:
    return {"width": report["width"], "height": report["height"]}
