"""CompareImages as a person uses it: with the pointer, the keyboard, two fingers."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser.canvas import Canvas
from browser.conftest import TakePicture
from PIL import Image, ImageFilter
from support.graphs import FILL, node
from support.results import RunResult
from support.server import ComfyServer

if TYPE_CHECKING:
    from playwright.sync_api import Route

BOTH = pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
PLACES = {"1": (0, 0), "2": (0, 380), "3": (0, 640), "4": (320, 640), "5": (500, 0)}
COMPARE = "5"
DECODING = {"ImageDecodeTask", "Decode Image", "Decode LazyPixelRef", "Draw LazyPixelRef"}
"""What a trace calls it when a picture is unpacked."""


@dataclass
class Comparison:
    """A graph whose last node is a CompareImages."""

    canvas: Canvas

    def open(self, graph: Mapping[str, Any]) -> None:
        page = self.canvas.page
        page.evaluate("graph => app.loadApiJson(graph, 'comparison')", graph)
        page.wait_for_function("count => app.graph.nodes.length === count", arg=len(graph))
        page.evaluate(
            """places => {
                for (const node of app.graph.nodes) node.pos = places[node.id];
                const compare = app.graph.nodes.at(-1);
                compare.setSize([560, 560]);
                app.canvas.setDirty(true, true);
            }""",
            PLACES,
        )
        self.stage.wait_for()
        self.canvas.command("Comfy.Canvas.FitView")

    def run(self) -> RunResult:
        result = self.canvas.run()
        self.wait_for_pictures()
        return result

    def wait_for_pictures(self) -> None:
        self.canvas.page.wait_for_function(
            """() => {
                const shown = [...document.querySelectorAll(".cp-world img")];
                return shown.length === 2 && shown.every((image) => image.naturalWidth > 0)
                    && !document.querySelector(".cp-empty");
            }"""
        )
        self.canvas.command("Comfy.Canvas.FitView")
        self.canvas.page.wait_for_timeout(500)  # the graph glides into view

    @property
    def stage(self):
        return self.canvas.page.locator(".cp-stage")

    def point(self, x: float, y: float = 0.5) -> tuple[float, float]:
        """A point on the page, in parts of the stage."""
        box = self.stage.bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def hover(self, x: float, y: float = 0.5) -> None:
        self.canvas.page.mouse.move(*self.point(x, y))

    def click(self, x: float, y: float = 0.5) -> None:
        self.canvas.page.mouse.click(*self.point(x, y))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.canvas.page.keyboard.press(key)

    @property
    def position(self) -> float:
        """Where the slider is, in parts of the width, read off the picture it cuts."""
        clip = self.style(".cp-pictures .cp-before", "clipPath")
        found = re.fullmatch(r"inset\(0(?:px)? ([\d.]+)% 0(?:px)? 0(?:px)?\)", clip)
        assert found, clip
        return 1 - float(found[1]) / 100

    def style(self, selector: str, name: str) -> str:
        return self.canvas.page.locator(selector).evaluate(
            "(element, name) => element.style[name]", name
        )

    @property
    def views(self) -> list[tuple[float, float, float]]:
        """Where the two pictures lie: x, y and scale."""
        worlds = self.canvas.page.locator(".cp-world")
        shown = worlds.evaluate_all("all => all.map((world) => world.style.transform)")
        found = [[float(n) for n in re.findall(r"(?<!translate)-?[\d.]+", s)] for s in shown]
        return [(x, y, scale) for x, y, _, scale in found]

    def text(self, name: str) -> str:
        return self.canvas.page.locator(f".cp-{name}").inner_text()

    @property
    def addresses(self) -> list[str]:
        images = self.canvas.page.locator(".cp-world img")
        return images.evaluate_all("all => all.map((image) => image.src)")

    @property
    def workflow(self) -> dict[str, Any]:
        """What Save would write, whatever node lies on top of the others."""
        saved = self.canvas.page.evaluate("app.graph.serialize()")
        nodes = {str(entry["id"]): {**entry, "order": 0} for entry in saved["nodes"]}
        return {**saved, "nodes": nodes, "extra": None}

    def picture(self) -> Image.Image:
        """What is seen in place of the pictures."""
        page = self.canvas.page
        page.evaluate(
            """async () => {
                const images = [...document.querySelectorAll(".cp-world img")];
                await Promise.all(images.map((image) => image.decode()));
                for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
            }"""
        )
        box = page.locator(".cp-before img").bounding_box()
        shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        left, top = round(box["x"]), round(box["y"])
        return shown.crop((left, top, left + round(box["width"]), top + round(box["height"])))


@pytest.fixture
def comparison(canvas: Canvas, server: ComfyServer, masked_photo: Image.Image) -> Comparison:
    """Two pairs: in the first an object has been removed, in the second everything differs."""
    inverted = Image.fromarray(255 - np.asarray(masked_photo)[..., :3])
    opened = Comparison(canvas)
    opened.open(
        {
            "1": node("LoadImage", image=server.upload(masked_photo, "compare-before.png")),
            "2": node("ContentAwareFill", image=["1", 0], mask=["1", 1], **FILL),
            "3": node("LoadImage", image=server.upload(inverted, "compare-inverted.png")),
            "4": node("ImageBatch", image1=["2", 0], image2=["3", 0]),
            COMPARE: node("CompareImages", before=["1", 0], after=["4", 0], mask=["2", 1]),
        }
    )
    return opened


@BOTH
def test_the_slider_and_the_place_that_is_looked_at(
    comparison: Comparison, photo: Image.Image, take_picture: TakePicture
) -> None:
    canvas = comparison.canvas
    blank = comparison.workflow["nodes"][COMPARE]
    assert not blank.get("widgets_values")
    comparison.run()
    saved = comparison.workflow
    assert saved["nodes"][COMPARE] == blank
    shown = canvas.page.locator(".cp-world img").evaluate_all(
        "all => all.map((image) => [image.naturalWidth, image.naturalHeight])"
    )
    assert shown == [list(photo.size)] * 2
    assert not any("preview" in address for address in comparison.addresses)

    for x in (0.25, 0.8):
        comparison.hover(x)
        assert comparison.position == pytest.approx(x, abs=0.01)
    comparison.hover(0.5)
    widget = canvas.page.locator(".cleanplate-compare").bounding_box()
    take_picture("CompareImages", folder="js/docs/images", clip=widget)
    comparison.click(0.4)
    comparison.hover(0.7)
    assert comparison.position == pytest.approx(0.4, abs=0.01)
    assert comparison.stage.get_attribute("aria-valuenow") == "40"
    comparison.press("ArrowRight", "Shift+ArrowRight")
    assert comparison.position == pytest.approx(0.52, abs=0.01)
    assert comparison.stage.get_attribute("aria-valuetext") == "52 % before"
    comparison.press("Home")
    assert comparison.position == 0

    whole = comparison.views
    graph_scale = canvas.page.evaluate("app.canvas.ds.scale")
    fitted = comparison.style(".cp-world >> nth=0", "transform")
    comparison.hover(0.7, 0.4)
    canvas.page.mouse.wheel(0, -400)
    canvas.page.wait_for_function(
        "fitted => document.querySelector('.cp-world').style.transform !== fitted", arg=fitted
    )
    near = comparison.views
    assert near[0] == near[1]
    assert near[0][2] > 1.5 * whole[0][2]
    assert canvas.page.evaluate("app.canvas.ds.scale") == graph_scale
    canvas.page.mouse.down()
    comparison.hover(0.6, 0.4)
    canvas.page.mouse.up()
    moved = comparison.views
    assert moved[0] == moved[1]
    assert moved[0][0] < near[0][0]
    assert comparison.position == 0  # dragging moves the pictures, not the slider
    comparison.press("1")
    assert comparison.views[0][2] == pytest.approx(1)
    comparison.press("0")
    assert comparison.views == whole

    assert comparison.text("number >> text='1 / 2'") == "1 / 2"
    first = comparison.addresses
    comparison.press("PageDown")
    canvas.page.wait_for_function(
        "first => document.querySelector('.cp-after img').src !== first", arg=first[0]
    )
    assert comparison.addresses[1] == first[1]  # one picture before goes with all after
    canvas.page.get_by_label("Previous pair").click()
    canvas.page.wait_for_function(
        "first => document.querySelector('.cp-after img').src === first", arg=first[0]
    )

    assert comparison.workflow == saved
    assert set(canvas.prompt()[COMPARE]["inputs"]) == {"before", "after", "mask"}
    canvas.page.evaluate("document.activeElement.blur()")
    comparison.hover(0.5)
    canvas.page.mouse.wheel(0, -100)
    canvas.page.wait_for_function("scale => app.canvas.ds.scale > scale", arg=graph_scale)
    assert canvas.errors == []


@BOTH
def test_the_difference_shows_the_masked_part_only(
    comparison: Comparison, object_mask: Image.Image
) -> None:
    comparison.run()
    assert comparison.text("verdict") == "Unchanged outside the mask"
    comparison.click(0.1)
    comparison.press("m", "m", "d")  # no outline over it
    seen = np.asarray(comparison.picture()).max(axis=2)
    size = (seen.shape[1], seen.shape[0])
    inside = np.asarray(object_mask.filter(ImageFilter.MinFilter(5)).resize(size)) == 255
    reach = 2 * (FILL["grow"] + FILL["feather"]) + 5
    outside = np.asarray(object_mask.filter(ImageFilter.MaxFilter(reach)).resize(size)) == 0
    outside[:5] = outside[-5:] = outside[:, :5] = outside[:, -5:] = False  # the focus' frame
    assert inside.sum() > 300
    assert outside.sum() > 10_000
    assert seen[outside].max() == 0
    assert np.median(seen[inside]) > 100

    page = comparison.canvas.page
    awaited: list[Route] = []
    let_go = False

    def hold(route: Route) -> None:
        if let_go:
            route.continue_()
        else:
            awaited.append(route)

    page.route("**/view?*", hold)
    comparison.press("PageDown")
    page.get_by_text("2 / 2", exact=True).wait_for()
    while not awaited:
        page.wait_for_timeout(50)
    assert comparison.text("verdict") == "Unchanged outside the mask"  # of the pair still seen
    let_go = True
    for route in awaited:
        route.continue_()
    page.wait_for_function("document.querySelector('.cp-verdict').textContent.includes('255')")
    seen = np.asarray(comparison.picture()).max(axis=2)
    assert np.median(seen[outside]) > 100  # all of this pair differs
    comparison.press("m", "m")  # only inside
    limited = np.asarray(comparison.picture()).max(axis=2)
    assert limited[outside].max() < 60
    assert np.median(limited[inside]) > 100
    assert comparison.canvas.errors == []


@BOTH
def test_the_pictures_are_there_again(comparison: Comparison) -> None:
    canvas = comparison.canvas
    canvas.page.evaluate("app.extensionManager.setting.set('Comfy.Workflow.Persist', true)")
    comparison.run()
    shown = comparison.addresses

    canvas.command("Comfy.NewBlankWorkflow")
    canvas.page.wait_for_function("app.graph.nodes.length === 0")
    canvas.command("Workspace.NextOpenedWorkflow")
    canvas.command("Workspace.PreviousOpenedWorkflow")
    canvas.command("Workspace.PreviousOpenedWorkflow")
    canvas.page.wait_for_function("app.graph.nodes.length === 5")
    comparison.wait_for_pictures()
    assert comparison.addresses == shown

    canvas.page.evaluate("app.graph.getNodeById('1').title = 'changed'")
    canvas.page.wait_for_timeout(1500)  # the page writes it down a moment later
    canvas.page.reload()
    canvas.page.wait_for_function("window.app?.graph?.nodes.length === 5")
    comparison.wait_for_pictures()
    assert comparison.addresses == shown
    assert canvas.errors == []


@BOTH
def test_moving_the_pointer_draws_nothing_anew(canvas: Canvas) -> None:
    """Over two large pictures, only the cut through them moves."""
    comparison = Comparison(canvas)
    large = {"width": 4096, "height": 4096, "batch_size": 1}
    comparison.open(
        {
            "1": node("EmptyImage", color=0x336699, **large),
            "2": node("EmptyImage", color=0x993366, **large),
            COMPARE: node("CompareImages", before=["1", 0], after=["2", 0]),
        }
    )
    comparison.run()
    comparison.click(0.2)
    comparison.click(0.2)
    canvas.page.evaluate(
        """() => {
            window.drawn = 0;
            for (const layer of ["drawFrontCanvas", "drawBackCanvas"]) {
                const draw = app.canvas[layer];
                app.canvas[layer] = function (...given) {
                    window.drawn += 1;
                    return draw.apply(this, given);
                };
            }
            window.changed = new Set();
            const styles = (style) =>
                new Map([...style].map((name) => [name, style.getPropertyValue(name)]));
            const last = new Map();
            const all = document.querySelectorAll(".cleanplate-compare, .cleanplate-compare *");
            for (const element of all) last.set(element, styles(element.style));
            new MutationObserver((records) => {
                for (const { type, attributeName, target } of records) {
                    if (attributeName !== "style") window.changed.add(attributeName ?? type);
                    const now = styles(target.style);
                    for (const [name, value] of now) {
                        if (last.get(target)?.get(name) !== value) window.changed.add(name);
                    }
                    last.set(target, now);
                }
            }).observe(document.querySelector(".cleanplate-compare"),
                { attributes: true, childList: true, characterData: true, subtree: true });
        }"""
    )

    left, top = comparison.point(0.1)
    right, _ = comparison.point(0.9)

    def sweep() -> None:
        for x in np.linspace(left, right, 60):
            canvas.page.mouse.move(x, top)
            canvas.page.evaluate("() => new Promise(requestAnimationFrame)")

    for keys in ((), ("+", "+")):  # all of it, then from near
        canvas.page.keyboard.press("0")
        for key in keys:
            canvas.page.keyboard.press(key)
        sweep()
        canvas.page.wait_for_timeout(500)
        canvas.page.evaluate("() => { window.drawn = 0; window.changed.clear(); }")
        events = traced(canvas, sweep)
        assert events["Layerize"] + events["Commit"] > 30, events
        assert sum(events[name] for name in DECODING) == 0
        assert events["PaintImage"] == 0
        assert canvas.page.evaluate("[...window.changed].sort()") == ["clip-path", "transform"]
        assert canvas.page.evaluate("window.drawn") == 0
    assert canvas.errors == []


def traced(canvas: Canvas, act: Callable[[], None]) -> Counter[str]:
    """How often what happened in the browser meanwhile, by the names of its performance trace."""
    session = canvas.page.context.new_cdp_session(canvas.page)
    seen: Counter[str] = Counter()
    ended: list[object] = []
    session.on("Tracing.dataCollected", lambda data: seen.update(e["name"] for e in data["value"]))
    session.once("Tracing.tracingComplete", lambda data: ended.append(data))
    categories = ["devtools.timeline", "disabled-by-default-devtools.timeline", "cc"]
    config = {"includedCategories": categories}
    session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
    act()
    session.send("Tracing.end")
    while not ended:
        canvas.page.wait_for_timeout(50)
    session.detach()
    return seen


@pytest.fixture
def touch(comparison: Comparison) -> Iterator[Callable[..., None]]:
    """Moves fingers: one list of points, in parts of the stage, for each moment."""
    session = comparison.canvas.page.context.new_cdp_session(comparison.canvas.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def move(*moments: list[tuple[float, float]]) -> None:
        for number, fingers in enumerate(moments):
            places = [comparison.point(*finger) for finger in fingers]
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
            kind = "touchMove" if number else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    yield move
    session.detach()


@BOTH
def test_fingers_and_the_setting(comparison: Comparison, touch: Callable[..., None]) -> None:
    comparison.run()
    touch([(0.5, 0.5)], [(0.4, 0.5)], [(0.2, 0.5)])
    assert comparison.position == pytest.approx(0.2, abs=0.02)
    whole = comparison.views[0]
    touch([(0.4, 0.5), (0.6, 0.5)], [(0.35, 0.5), (0.65, 0.5)], [(0.2, 0.5), (0.8, 0.5)])
    near = comparison.views
    assert near[0] == near[1]
    assert near[0][2] == pytest.approx(3 * whole[2], rel=0.05)
    assert comparison.position == pytest.approx(0.2, abs=0.02)

    page = comparison.canvas.page
    page.evaluate("app.extensionManager.setting.set('CleanPlate.Compare.Mode', 'click')")
    page.wait_for_function("document.querySelector('.cp-before').style.clipPath.includes('100%')")
    comparison.hover(0.6)
    assert comparison.position == 0
    page.mouse.down()
    assert comparison.position == 1
    page.mouse.up()
    assert comparison.position == 0
    page.evaluate("app.extensionManager.setting.set('CleanPlate.Compare.Mode', 'slide')")
    page.wait_for_function("!document.querySelector('.cp-before').style.clipPath.includes('100%')")
    assert comparison.canvas.errors == []
