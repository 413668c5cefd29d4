"""Tests in this folder drive a headless Chromium against a running ComfyUI server."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser.canvas import Canvas, Renderer
from browser.frontends import Frontend, find_newest, table, version_of
from PIL import Image
from support.locate import PACK
from support.server import PACKS, ComfyServer

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
_PICTURE_WIDTH = 1200
TakePicture = Callable[..., None]
_OUTCOMES: Counter[tuple[str, str, str]] = Counter()
_folders: list[Path] = []


@pytest.fixture(scope="package", params=["own", "newest"])
def frontend(request: pytest.FixtureRequest) -> Frontend:
    """Which frontend ComfyUI serves."""
    return request.param


@pytest.fixture(scope="package")
def server(
    request: pytest.FixtureRequest,
    frontend: Frontend,
    comfyui_path: Path,
    models_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ComfyServer]:
    """A running ComfyUI with that frontend."""
    if frontend == "own":
        yield request.getfixturevalue("main_server")
        return
    static, reason = find_newest(comfyui_path)
    if static is None:
        pytest.skip(reason)
    base = tmp_path_factory.mktemp("newest")
    arguments = ("--front-end-root", str(static))
    with ComfyServer(comfyui_path, base, models_dir, PACKS, arguments) as running:
        yield running


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a screenshot of the end of every test goes.

    CLEANPLATE_SCREENSHOTS names another folder, that stays.
    """
    named = os.environ.get("CLEANPLATE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    _folders.append(folder)
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the outcomes for the table of combinations."""
    report = yield
    values = getattr(getattr(item, "callspec", None), "params", {})
    frontend = values.get("frontend")
    if frontend and (report.when == "call" or report.outcome != "passed"):
        name = f"{frontend} {version_of(frontend)}"
        _OUTCOMES[name, values.get("renderer", "classic"), report.outcome] += 1
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what passed with which frontend and renderer, and where the screenshots are."""
    if not _OUTCOMES:
        return
    terminalreporter.section("browser")
    for line in table(_OUTCOMES):
        terminalreporter.write_line(line)
    for folder in _folders:
        terminalreporter.write_line(f"screenshots: {folder}")


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
    frontend: Frontend,
    renderer: Renderer,
    photo: Image.Image,
    screenshots: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Canvas]:
    """A freshly opened ComfyUI page; at the end its screenshot lies in `screenshots`."""
    server.upload(photo, "example.png")  # every ComfyUI has a picture of this name
    context = chromium.new_context(viewport=_VIEWPORT)
    page = context.new_page()
    opened = Canvas(page, server, renderer)
    try:
        opened.open()
        yield opened
    finally:
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
        page.screenshot(path=screenshots / f"{name.strip('-')}-{frontend}-{renderer}.png")
        context.close()


@pytest.fixture
def take_picture(
    canvas: Canvas, frontend: Frontend, renderer: Renderer, screenshots: Path
) -> TakePicture:
    """Takes a picture for the README or, with a `folder`, for a help page.

    With CLEANPLATE_WRITE_PICTURES=1 it goes into the repository, in the newest frontend's classic
    look, which is what ComfyUI shows by default; else beside the screenshots.
    """
    wanted = os.environ.get("CLEANPLATE_WRITE_PICTURES") == "1"
    kept = wanted and (frontend, renderer) == ("newest", "classic")

    def take(name: str, folder: str = "docs/images", clip: dict[str, float] | None = None) -> None:
        shown = Image.open(io.BytesIO(canvas.page.screenshot(clip=clip))).convert("RGB")
        shown.thumbnail((_PICTURE_WIDTH, _PICTURE_WIDTH))
        path = PACK / folder / f"{name}.jpg"
        if not kept:
            path = screenshots / f"{name}-{frontend}-{renderer}.jpg"
        shown.save(path, quality=85, optimize=True)

    return take
