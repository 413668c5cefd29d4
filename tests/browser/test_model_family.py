"""The setting for the model family of new nodes."""

from __future__ import annotations

import pytest
from browser.api_graphs import open_graph
from browser.canvas import Canvas
from support.server import ComfyServer

NODE = "UpscaleToModelRes"
FAMILY = "CleanPlate.Upscale.Family"


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_new_nodes_follow_the_setting_and_opened_ones_do_not(
    canvas: Canvas, server: ComfyServer
) -> None:
    canvas.page.evaluate("id => app.extensionManager.setting.set(id, 'SDXL')", FAMILY)
    try:
        open_graph(canvas, {"1": {"class_type": NODE, "inputs": {"model_family": "SD 1.5"}}})
        new = canvas.page.evaluate(
            """kind => {
                const node = LiteGraph.createNode(kind);
                app.graph.add(node);
                return node.id;
            }""",
            NODE,
        )
        values = {node: canvas.widget(node, "model_family") for node in ("1", str(new))}
        assert values == {"1": "SD 1.5", str(new): "SDXL"}
        opened = canvas.page.evaluate(
            """async id => {
                app.graph.getNodeById(id).widgets[0].value = "Flux";
                await app.loadGraphData(app.graph.serialize());
                return app.graph.nodes.map((node) => node.widgets[0].value);
            }""",
            new,
        )
        assert sorted(opened) == ["Flux", "SD 1.5"]
    finally:
        server.set_setting(FAMILY, "Flux")
    assert canvas.errors == []
