"""What a newcomer does: open a template, choose a photo, draw the mask, run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browser.canvas import Canvas
from browser.conftest import TakePicture
from browser.mask_editor import paint_mask
from browser.test_canvas import api_twin, check_removed, reach
from PIL import Image
from support.locate import PACK
from support.server import PACK_NAME, ComfyServer

WORKFLOW = PACK / "workflows" / "object_removal_no_weights.json"


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_four_actions_from_install_to_a_removed_object(
    canvas: Canvas,
    server: ComfyServer,
    photo: Image.Image,
    object_mask: Image.Image,
    take_picture: TakePicture,
    tmp_path: Path,
) -> None:
    page = canvas.page
    page.locator(".side-bar-button", has_text="Templates").click()
    canvas.choose_template(PACK_NAME, WORKFLOW, before=lambda: take_picture("start-1-template"))
    (picture,) = canvas.node_ids("LoadImage")
    (saver,) = canvas.node_ids("SaveImage")

    photo.save(tmp_path / "rocket.png")
    canvas.choose_photo(picture, tmp_path / "rocket.png")
    canvas.wait_for_picture(picture)
    take_picture("start-2-photo")

    left, top, right, bottom = object_mask.getbbox() or (0, 0, 0, 0)
    stroke = []  # up and down over the whole object
    for column in range(left, right + 1, 8):
        rows = (top, bottom) if len(stroke) % 4 == 0 else (bottom, top)
        stroke += [(column / photo.width, row / photo.height) for row in rows]
    name = paint_mask(
        canvas,
        picture,
        stroke,
        before_saving=lambda: take_picture("start-3-mask"),
    )
    result = canvas.run()

    (saved,) = result.images(saver)
    canvas.wait_for_image(saver, saved["filename"])
    take_picture("start-4-result")
    folder, _, filename = name.removesuffix(" [input]").rpartition("/")
    painted = server.image({"filename": filename, "subfolder": folder, "type": "input"})
    mask = np.asarray(painted.getchannel("A")) < 128
    check_removed(photo, server.image(saved), mask, reach(api_twin(WORKFLOW)))
    assert canvas.errors == []
