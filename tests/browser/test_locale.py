"""The pack in Korean, as ComfyUI's page shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser.canvas import Canvas, Renderer
from support.locales import read_locale
from support.locate import PACK
from support.server import ComfyServer

NODE = "TiledUpscale"
SAID = {
    "settings": """() => {
        const key = (name) => name.replaceAll(".", "_");
        const ours = Object.values(app.ui.settings.settingsLookup)
            .filter(({ id }) => id.startsWith("CleanPlate."));
        return Object.fromEntries(ours.map(({ id, name, tooltip, options }) => [key(id), {
            name,
            ...(tooltip && { tooltip }),
            ...(options && {
                options: Object.fromEntries(options.map(({ text }) => [key(text), text])),
            }),
        }]));
    }""",
    "commands": """() => {
        const ours = app.extensionManager.command.commands
            .filter(({ id }) => id.startsWith("CleanPlate."));
        return Object.fromEntries(ours.map((command) =>
            [command.id.replaceAll(".", "_"), { label: command.label }]));
    }""",
}
"""What the pack's JavaScript has registered, in the form of a locale file."""
CATEGORIES = """() => [...new Set(Object.values(app.ui.settings.settingsLookup)
    .filter(({ id }) => id.startsWith("CleanPlate."))
    .flatMap(({ category }) => category.slice(0, -1)))]"""


@pytest.fixture(autouse=True)
def korean(server: ComfyServer) -> Iterator[None]:
    """Korean, from before the page is opened."""
    server.set_setting("Comfy.Locale", "ko")
    yield
    server.set_setting("Comfy.Locale", "en")


@pytest.fixture
def texts() -> dict[str, Any]:
    return read_locale("ko", "nodeDefs")[NODE]


def add_node(canvas: Canvas) -> str:
    """Add the node to an empty graph, in the middle of the window."""
    node = canvas.page.evaluate(
        """kind => {
            app.graph.clear();
            const node = LiteGraph.createNode(kind);
            node.pos = [0, 0];
            app.graph.add(node);
            return `${node.id}`;
        }""",
        NODE,
    )
    canvas.command("Comfy.Canvas.FitView")
    return node


def shown_texts(canvas: Canvas, node: str) -> dict[str, Any]:
    """What the frontend draws for a node."""
    return canvas.page.evaluate(
        """id => {
            const node = app.graph.getNodeById(id);
            const names = (slots) => slots.map((slot) => slot.label || slot.localized_name);
            return {
                title: node.getTitle(),
                category: node.constructor.category,
                widgets: node.widgets.map((widget) => widget.label),
                inputs: names(node.inputs),
                outputs: names(node.outputs),
            };
        }""",
        node,
    )


def hover(canvas: Canvas, renderer: Renderer, node: str, widget: str, label: str) -> None:
    """Hold the mouse still over a widget's name."""
    if renderer == "vue":
        body = canvas.page.locator(f"[data-node-id='{node}']")
        body.get_by_text(label, exact=True).first.hover()
        return
    canvas.page.wait_for_timeout(500)  # the view moves there smoothly
    x, y = canvas.page.evaluate(
        """([id, name]) => {
            const node = app.graph.getNodeById(id);
            const { y } = node.widgets.find((widget) => widget.name === name);
            const at = [node.pos[0] + node.size[0] / 3, node.pos[1] + y + 10];
            const [left, top] = app.canvas.ds.convertOffsetToCanvas(at);
            const box = app.canvas.canvas.getBoundingClientRect();
            return [box.left + left, box.top + top];
        }""",
        [node, widget],
    )
    canvas.page.mouse.move(x - 3, y)
    canvas.page.mouse.move(x, y)


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_a_node_speaks_korean(canvas: Canvas, renderer: Renderer, texts: dict[str, Any]) -> None:
    node = add_node(canvas)
    shown = shown_texts(canvas, node)
    inputs = texts["inputs"]
    assert shown["title"] == texts["display_name"]
    assert shown["category"] == "CleanPlate/업스케일"
    assert shown["outputs"] == [texts["outputs"]["0"]["name"]]
    assert set(shown["inputs"]) == {inputs[key]["name"] for key in inputs if "target_" not in key}
    assert set(shown["widgets"]) <= set(shown["inputs"])
    if renderer == "vue":
        page = canvas.page.locator(f"[data-node-id='{node}']")
        for text in (texts["display_name"], inputs["strength"]["name"]):
            page.get_by_text(text, exact=True).first.wait_for()

    hover(canvas, renderer, node, "strength", inputs["strength"]["name"])
    canvas.page.get_by_text(inputs["strength"]["tooltip"], exact=True).first.wait_for()
    assert canvas.errors == []


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_options_speak_korean_and_stay_what_they_are(
    canvas: Canvas, renderer: Renderer, texts: dict[str, Any]
) -> None:
    node = add_node(canvas)
    option = "longest side"
    label = texts["inputs"]["target"]["options"][option]
    canvas.set_widget(node, "target", option)
    assert option in canvas.prompt()[node]["inputs"].values()
    if renderer == "vue":
        canvas.page.locator(f"[data-node-id='{node}']").get_by_text(label).first.wait_for()
    else:
        drawn = canvas.page.evaluate(
            "id => app.graph.getNodeById(id).widgets.map((widget) => widget._displayValue)", node
        )
        assert label in drawn
    added = texts["inputs"]["target_longest_side"]
    assert added["name"] in shown_texts(canvas, node)["widgets"]
    tooltips = canvas.page.evaluate(
        "id => app.graph.getNodeById(id).widgets.map((widget) => widget.tooltip)", node
    )
    assert added["tooltip"] in tooltips
    assert canvas.errors == []


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_the_language_can_be_switched(canvas: Canvas, texts: dict[str, Any]) -> None:
    canvas.load(PACK / "workflows" / "upscale_4k.json")
    (node,) = canvas.node_ids(NODE)
    english = read_locale("en", "nodeDefs")[NODE]
    for language, expected in (("en", english), ("ko", texts)):
        canvas.page.evaluate(
            "language => app.extensionManager.setting.set('Comfy.Locale', language)", language
        )
        canvas.page.wait_for_function(
            "([id, title]) => app.graph.getNodeById(id)?.getTitle() === title",
            arg=[node, expected["display_name"]],
        )
        option = "longest side"
        canvas.set_widget(node, "target", option)
        target, added = canvas.page.evaluate(
            """id => app.graph.getNodeById(id).widgets.slice(0, 2).map(
                ({ label, tooltip, value, options }) =>
                    [label, tooltip, options.getOptionLabel?.(value) ?? value])""",
            node,
        )
        inputs = expected["inputs"]
        assert target[0] == inputs["target"]["name"]
        assert target[2] == inputs["target"]["options"][option]
        assert added[:2] == list(inputs["target_longest_side"].values())
    assert canvas.errors == []


def test_a_category_of_several_words_is_translated(canvas: Canvas) -> None:
    category = canvas.page.evaluate("LiteGraph.registered_node_types.StitchBack.category")
    assert category == "CleanPlate/" + read_locale("ko", "main")["nodeCategories"]["crop & stitch"]


@pytest.mark.parametrize("file", ["settings", "commands"])
def test_what_the_javascript_says_is_in_the_english_locale(canvas: Canvas, file: str) -> None:
    said = canvas.page.evaluate(SAID[file])
    assert said == read_locale("en", file)
    if file == "settings":
        categories = canvas.page.evaluate(CATEGORIES)
        assert sorted(categories) == sorted(read_locale("en", "main")["settingsCategories"])


def test_korean_words_find_a_node(canvas: Canvas) -> None:
    canvas.command("Workspace.SearchBox.Toggle")
    canvas.page.keyboard.type("지우개")
    found = read_locale("ko", "nodeDefs")["LamaRemove"]["display_name"]
    canvas.page.get_by_text(found, exact=True).first.wait_for()
    assert canvas.errors == []
