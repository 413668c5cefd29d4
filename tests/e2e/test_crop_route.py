"""The route that tells where a crop will be, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from support.server import ComfyServer

ROUTE = "cleanplate/crop"


def asked(name: str, **widgets: Any) -> dict[str, Any]:
    return {"image": {"file": name}, "mask": {"file": name}, "widgets": widgets}


def test_a_picture_with_a_mask(server: ComfyServer) -> None:
    picture = Image.new("RGBA", (400, 300), (90, 120, 150, 255))
    picture.paste((200, 30, 30, 0), (180, 140, 220, 160))
    answer = server.post(ROUTE, asked(server.upload(picture), minimum_size=64, context_pixels=8))
    assert answer.status_code == 200
    (view,) = answer.json()["crops"]
    assert view["mask"] == [180, 140, 40, 20]
    assert view["image"] == [400, 300]
    shown = server.image(view["picture"])
    assert shown.size == (400, 300)


def test_what_is_not_ready_yet_is_no_failure(server: ComfyServer) -> None:
    """Else the browser's console would tell of it."""
    plain = server.upload(Image.new("RGB", (80, 60)))
    for name, reason in ((plain, "paint over"), ("gone.png", "not there")):
        answer = server.post(ROUTE, asked(name))
        assert answer.status_code == 200
        assert reason in answer.json()["error"]


@pytest.mark.parametrize("name", ["../server.log", "/etc/passwd.png", "../../x.png [output]"])
def test_other_files_are_refused(server: ComfyServer, name: str) -> None:
    assert server.post(ROUTE, asked(name)).status_code == 403
