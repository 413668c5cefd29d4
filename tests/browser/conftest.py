"""Tests in this folder drive a headless Chromium against a running ComfyUI server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser.canvas import Canvas, Renderer
from PIL import Image
from support.locate import PACK
from support.server import ComfyServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_VIEWPORT = {"width": 1600, "height": 900}
_DEMO = PACK / "workflows" / "demo"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium of this machine; skips the test if there is none."""
    found = next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium on PATH (looked for {', '.join(_CHROMIUM_NAMES)})")
    return found


# Not for the whole session: while Playwright lives, its event loop counts as running in this
# thread, and no other could be used.
@pytest.fixture(scope="package")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One browser for all tests of this folder."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium_path, headless=True, args=list(_ARGUMENTS)
        )
        with browser:
            yield browser


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """The demo photo, RGB."""
    return Image.open(_DEMO / "photo.jpg").convert("RGB")


@pytest.fixture(scope="session")
def object_mask() -> Image.Image:
    """The demo mask: 255 on the object, else 0."""
    return Image.open(_DEMO / "mask.png").convert("L").point(lambda value: 255 * (value > 127))


@pytest.fixture(scope="session")
def masked_photo(photo: Image.Image, object_mask: Image.Image) -> Image.Image:
    """The demo photo as LoadImage wants it: transparent on the object, colours kept."""
    alpha = 255 - np.asarray(object_mask)
    return Image.fromarray(np.dstack([np.asarray(photo), alpha]), "RGBA")


@pytest.fixture
def renderer(request: pytest.FixtureRequest) -> Renderer:
    """How nodes are drawn; parametrise it indirectly for another one."""
    return getattr(request, "param", "classic")


@pytest.fixture
def canvas(
    server: ComfyServer,
    chromium: Browser,
    renderer: Renderer,
    photo: Image.Image,
    tmp_path: Path,
) -> Iterator[Canvas]:
    """A freshly opened ComfyUI page; at the end its screenshot lies in `tmp_path`."""
    server.upload(photo, "example.png")  # every ComfyUI has a picture of this name
    context = chromium.new_context(viewport=_VIEWPORT)
    page = context.new_page()
    opened = Canvas(page, server, renderer)
    try:
        opened.open()
        yield opened
    finally:
        page.screenshot(path=tmp_path / f"{renderer}.png")
        context.close()
