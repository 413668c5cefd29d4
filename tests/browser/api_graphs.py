"""Small graphs made for a test, on the canvas."""

from __future__ import annotations

from browser.canvas import Canvas
from support.results import Prompt


def open_graph(canvas: Canvas, prompt: Prompt) -> None:
    """Open a graph in API format; its nodes keep their ids."""
    canvas.page.evaluate("prompt => app.loadApiJson(prompt, 'test')", prompt)
    canvas.page.wait_for_function(
        """wanted => wanted.every(([id, type]) => app.graph.getNodeById(id)?.type === type)""",
        arg=[[node_id, node["class_type"]] for node_id, node in prompt.items()],
    )
    canvas.command("Comfy.Canvas.FitView")
