"""ComfyUI's page in a browser: load a workflow, turn its widgets, press Run, look at the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image
from support.results import RunResult, outcome
from support.server import ComfyServer

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Error, Locator, Page

Renderer = Literal["classic", "vue"]
"""The classic canvas, or Nodes 2.0, where every node is a piece of HTML."""

_SETTINGS = {
    "Comfy.TutorialCompleted": True,  # else a fresh profile opens the template browser
    "Comfy.Minimap.Visible": False,
    "Comfy.Workflow.Persist": False,
    "Comfy.Notification.ShowVersionUpdates": False,
}
_OPEN_TIMEOUT = 90_000
_TIMEOUT = 30_000
_RUN_TIMEOUT = 120_000

# What ComfyUI's own page logs in a fresh profile; (part of the text, part of the address).
_BASELINE = (
    ("404", "/favicon.ico"),
    ("404", "/user.css"),
    ("404", "/userdata?dir="),
    ("404", "/userdata/user.css"),
    ("404", "/userdata/comfy.templates.json"),
    ("404", "/en.md"),  # a help page is looked for in the user's language first
    ("ComfyApp graph accessed before initialization", "/assets/"),
    # Older ones look the pack of a node up, which a server without API nodes forbids.
    ("https://api.comfy.org/comfy-nodes/", "/assets/"),
    # Older ones ask for the size of the models that their own first graph needs.
    ("/Comfy-Org/z_image_turbo/", "/assets/missingModel"),
)


@dataclass
class Canvas:
    """One page. Node ids are those of the loaded workflow."""

    page: Page
    server: ComfyServer
    renderer: Renderer
    errors: list[str] = field(default_factory=list)
    """What the page has logged as errors, ComfyUI's usual noise left out."""

    def open(self) -> None:
        """Open the page and wait until it can be used."""
        for name, value in _SETTINGS.items():
            self.server.set_setting(name, value)
        self.server.set_setting("Comfy.VueNodes.Enabled", self.renderer == "vue")
        self.page.on("console", self._note_console)
        self.page.on("pageerror", self._note_exception)
        self.page.set_default_timeout(_TIMEOUT)
        self.page.goto(self.server.url, timeout=_OPEN_TIMEOUT)
        self.page.wait_for_function(
            "window.app?.extensionManager && window.app.graph && window.LiteGraph",
            timeout=_OPEN_TIMEOUT,
        )
        self._queue_button.wait_for(timeout=_OPEN_TIMEOUT)
        assert self.page.evaluate("LiteGraph.vueNodesMode") == (self.renderer == "vue")

    def _note_console(self, message: ConsoleMessage) -> None:
        address = message.location.get("url", "")
        usual = any(text in message.text and part in address for text, part in _BASELINE)
        if message.type == "error" and not usual:
            self.errors.append(f"{message.text} ({address})")

    def _note_exception(self, error: Error) -> None:
        self.errors.append(f"uncaught: {error}")

    @property
    def _queue_button(self) -> Locator:
        return self.page.get_by_test_id("queue-button")

    @property
    def dialog(self) -> Locator:
        """What is open over the page."""
        return self.page.locator("[role=dialog]")

    def command(self, name: str) -> None:
        """Execute one of the frontend's commands."""
        self.page.evaluate("name => app.extensionManager.command.execute(name)", name)

    def load(self, path: Path) -> None:
        """Open a workflow file."""
        workflow = json.loads(path.read_text(encoding="utf-8"))
        self.page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
        self._wait_for_graph(workflow)

    def open_template(self, pack: str, path: Path) -> None:
        """Open a workflow of a pack from the template browser."""
        self.command("Comfy.BrowseTemplates")
        self.choose_template(pack, path)

    def choose_template(
        self, pack: str, path: Path, before: Callable[[], object] | None = None
    ) -> None:
        """Choose a workflow in the template browser; `before` is called before the last click."""
        self.dialog.get_by_text(pack, exact=True).first.click()
        card = self.dialog.get_by_test_id(f"template-workflow-{path.stem}")
        # Cards beyond the edge have no picture yet.
        card.scroll_into_view_if_needed()
        thumbnail = card.locator("img").first
        with Image.open(path.with_suffix(".jpg")) as picture:
            self.page.wait_for_function(
                "([shown, width, height]) =>"
                " shown.naturalWidth === width && shown.naturalHeight === height",
                arg=[thumbnail.element_handle(), *picture.size],
            )
        if before:
            before()
        card.click()
        self._wait_for_graph(json.loads(path.read_text(encoding="utf-8")))

    def _wait_for_graph(self, workflow: Mapping[str, Any]) -> None:
        self.page.wait_for_function(
            """wanted => {
                const types = new Map(app.graph.nodes.map((node) => [`${node.id}`, node.type]));
                return types.size === wanted.length
                    && wanted.every(([id, type]) => types.get(id) === type);
            }""",
            arg=[[str(node["id"]), node["type"]] for node in workflow["nodes"]],
        )
        if self.renderer == "vue":
            self.page.wait_for_function(
                "() => app.graph.nodes.every("
                "(node) => document.querySelector(`[data-node-id='${node.id}']`))"
            )

    def check_complete(self) -> None:
        """Raise unless every node is known and nothing is said to be missing."""
        complaints = self.page.evaluate(
            """() => app.graph.nodes
                .filter((node) => !LiteGraph.registered_node_types[node.type] || node.has_errors)
                .map((node) => node.type)"""
        )
        assert not complaints
        assert self.dialog.count() == 0

    def overlaps(self) -> list[str]:
        """Pairs of nodes that lie on one another as they are drawn, and by how many pixels."""
        self.command("Comfy.Canvas.FitView")  # what is outside the window is not measured
        self.page.wait_for_timeout(500)  # nodes grow when their widgets come
        return self.page.evaluate(
            """vue => {
                const scale = app.canvas.ds.scale;
                const places = app.graph.nodes.map((node) => {
                    const drawn = vue
                        && document.querySelector(`[data-node-id="${node.id}"]`);
                    const box = drawn && drawn.getBoundingClientRect();
                    const [x, y, width, height] = box
                        ? [box.x / scale, box.y / scale, box.width / scale, box.height / scale]
                        : node.getBounding();
                    return { name: `${node.title} (${node.id})`, x, y, width, height };
                });
                const pairs = [];
                places.forEach((a, i) => places.slice(i + 1).forEach((b) => {
                    const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
                    const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
                    if (across > 1 && down > 1) {
                        pairs.push(`${a.name} on ${b.name}: ${across | 0} x ${down | 0}`);
                    }
                }));
                return pairs;
            }""",
            self.renderer == "vue",
        )

    def prompt(self) -> dict[str, Any]:
        """The graph in API format, as Run would send it."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def new_node(self, kind: str) -> str:
        """Put a node of a type alone on the canvas, selected, and return its id."""
        node = self.page.evaluate(
            """kind => {
                app.graph.clear();
                const node = LiteGraph.createNode(kind);
                node.pos = [40, 60];
                app.graph.add(node);
                app.canvas.ds.scale = 1;
                app.canvas.ds.offset = [80, 140];  // below the menu
                app.canvas.setDirty(true, true);
                return `${node.id}`;
            }""",
            kind,
        )
        button = """document.querySelector("[data-testid='info-button']")"""
        self.select_until(node, f"{button} && node.getBounding()[2] > 0")
        return node

    def select_until(self, node: str, condition: str) -> None:
        """Select a node, and again if the page drops the selection, until something holds.

        On a slow machine it does so while it opens, or opens a panel. Frontend 1.45 may not notice
        the first selection on a fresh page at all, so from time to time it is made anew.
        """
        for milliseconds in (2_000, 4_000, 8_000, 16_000):
            found = self.page.evaluate(
                f"""async ([id, milliseconds]) => {{
                    const node = app.graph.getNodeById(id);
                    const end = performance.now() + milliseconds;
                    while (performance.now() < end) {{
                        if (!app.canvas.selectedItems.has(node)) app.canvas.selectNode(node);
                        if ({condition}) return true;
                        await new Promise((resolve) => setTimeout(resolve, 250));
                    }}
                    app.canvas.deselectAll();
                    return false;
                }}""",
                [node, milliseconds],
            )
            if found:
                return
        raise AssertionError(f"node {node} was selected, but this did not hold: {condition}")

    def bring_to_view(self, node: str) -> dict[str, float]:
        """Show a node alone and whole, for a picture; where it is then, as `place_of`."""
        height = self.page.evaluate(
            """id => {
                const shown = app.graph.getNodeById(id);
                const [x, y, , height] = shown.getBounding();
                app.graph.nodes.filter((node) => node !== shown)
                    .forEach((node) => { node.pos = [node.pos[0], node.pos[1] - 9000]; });
                app.canvas.ds.scale = 1;
                app.canvas.ds.offset = [120 - x, 100 - y];
                app.canvas.deselectAll();
                app.canvas.setDirty(true, true);
                return height;
            }""",
            node,
        )
        window = self.page.viewport_size or {"width": 0, "height": 0}
        self.page.set_viewport_size({**window, "height": max(window["height"], int(height) + 150)})
        self.page.wait_for_timeout(500)  # widgets follow a frame later
        return self.place_of(node)

    def place_of(self, node: str, margin: float = 12) -> dict[str, float]:
        """Where a node is on the page, for a picture."""
        x, y, width, height = self.page.evaluate(
            """id => {
                const { canvas, ds } = app.canvas;
                const [x, y, width, height] = app.graph.getNodeById(id).getBounding();
                const page = canvas.getBoundingClientRect();
                return [
                    page.x + (x + ds.offset[0]) * ds.scale,
                    page.y + (y + ds.offset[1]) * ds.scale,
                    width * ds.scale,
                    height * ds.scale,
                ];
            }""",
            node,
        )
        return {
            "x": max(0, x - margin),
            "y": max(0, y - margin),
            "width": width + 2 * margin,
            "height": height + 2 * margin,
        }

    def node_ids(self, kind: str) -> list[str]:
        """The ids of all nodes of one type, as in the API format."""
        return self.page.evaluate(
            """kind => app.graph.nodes.filter((node) => node.type === kind)
                .map((node) => `${node.id}`)""",
            kind,
        )

    def set_widget(self, node: str, name: str, value: Any) -> None:
        """Give a widget a value, as a user's input does."""
        self.page.evaluate(
            """([id, name, value]) => {
                const node = app.graph.getNodeById(id);
                const widget = node.widgets.find((widget) => widget.name === name);
                widget.value = value;
                widget.callback?.(value, app.canvas, node);
            }""",
            [node, name, value],
        )
        assert self.widget(node, name) == value

    def widget(self, node: str, name: str) -> Any:
        """The value of a widget."""
        return self.page.evaluate(
            """([id, name]) => app.graph.getNodeById(id).widgets
                .find((widget) => widget.name === name).value""",
            [node, name],
        )

    def run(self) -> RunResult:
        """Press Run and wait for the end; raise if the server refuses the graph or fails."""
        button = self._queue_button
        inner = button.locator("button")  # the test id was on a DIV around it until 1.35
        with self.page.expect_response(
            lambda response: (
                response.request.method == "POST" and response.url.endswith("/api/prompt")
            )
        ) as answer:
            (inner if inner.count() else button).first.click()
        sent = answer.value.json()
        assert answer.value.ok, sent
        entry = self._history(sent["prompt_id"])
        messages = [(kind, data) for kind, data in entry["status"]["messages"]]
        return outcome(sent["prompt_id"], messages, entry["outputs"]).check()

    def _history(self, prompt_id: str) -> dict[str, Any]:
        # The page itself only waits when a run fails; the history also tells of errors.
        entry = self.page.evaluate(
            """async ([id, timeout]) => {
                const deadline = performance.now() + timeout;
                while (performance.now() < deadline) {
                    const history = await (await fetch(`/history/${id}`)).json();
                    if (history[id]) return history[id];
                    await new Promise((next) => setTimeout(next, 200));
                }
            }""",
            [prompt_id, _RUN_TIMEOUT],
        )
        assert entry, f"no result in {_RUN_TIMEOUT / 1000:.0f} s"
        return entry

    def wait_for_image(self, node: str, filename: str) -> None:
        """Wait until a node shows an image file."""
        self.page.wait_for_function(
            """([id, filename]) => (app.nodeOutputs[id]?.images ?? [])
                .some((image) => image.filename === filename)""",
            arg=[node, filename],
        )
        self.command("Comfy.Canvas.FitView")  # what is outside the window is not drawn
        self.wait_for_picture(node, filename)

    def wait_for_picture(self, node: str, filename: str = "") -> None:
        """Wait until a node that lies within the window has drawn a picture."""
        shown = (
            "[...document.querySelectorAll(`[data-node-id='${id}'] img`)]"
            if self.renderer == "vue"
            else "(app.graph.getNodeById(id).imgs ?? [])"
        )
        self.page.wait_for_function(
            f"""([id, filename]) => {shown}
                .some((image) => image.src.includes(filename) && image.naturalWidth > 0)""",
            arg=[node, filename],
        )

    def choose_photo(self, node: str, path: Path) -> None:
        """Choose a picture of this computer with a node's upload button."""
        with self.page.expect_file_chooser() as chooser:
            self.page.evaluate(
                """id => app.graph.getNodeById(id).widgets
                    .find((widget) => widget.name === "upload").callback()""",
                node,
            )
        chooser.value.set_files(path)
        self.page.wait_for_function(
            """([id, name]) => app.graph.getNodeById(id).widgets
                .find((widget) => widget.name === "image").value === name""",
            arg=[node, path.name],
        )
