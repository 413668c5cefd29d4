"""The blueprints, taken from the list of nodes, connected and run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from browser.api_graphs import open_graph
from browser.canvas import Canvas
from PIL import Image
from support.server import ComfyServer

BOTH = pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)

REACH = 40
"""More pixels than anything reaches beyond the mask."""
PICTURE = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}
MODELS = {
    "3": {
        "class_type": "UNETLoader",
        "inputs": {"unet_name": "flux1-fill-dev.safetensors", "weight_dtype": "default"},
    },
    "4": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
    "5": {
        "class_type": "DualCLIPLoader",
        "inputs": {
            "clip_name1": "clip_l.safetensors",
            "clip_name2": "t5xxl_fp16.safetensors",
            "type": "flux",
        },
    },
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["5", 0]}},
}


def insert(canvas: Canvas, name: str) -> str:
    """Take a blueprint from the list of nodes, as a user does; return the new node's id."""
    before = set(node_ids(canvas))
    canvas.command("Workspace.ToggleSidebarTab.node-library")
    canvas.page.get_by_placeholder("Search").first.fill(name)
    canvas.page.get_by_text(name, exact=True).first.click()
    canvas.page.mouse.move(1000, 600)
    canvas.page.mouse.click(1000, 620)
    canvas.page.wait_for_function("count => app.graph.nodes.length > count", arg=len(before))
    (new,) = set(node_ids(canvas)) - before
    canvas.command("Workspace.ToggleSidebarTab.node-library")
    return new


def node_ids(canvas: Canvas) -> list[str]:
    return canvas.page.evaluate("() => app.graph.nodes.map((node) => `${node.id}`)")


def connect(canvas: Canvas, *wires: tuple[str, int, str, str]) -> None:
    """Connect outputs, by number, with inputs, by name."""
    canvas.page.evaluate(
        """wires => wires.forEach(([from, output, to, input]) => {
            const target = app.graph.getNodeById(to);
            const slot = target.inputs.findIndex(({ name }) => name === input);
            app.graph.getNodeById(from).connect(output, target, slot);
        })""",
        wires,
    )


def check_only_the_mask_changed(
    server: ComfyServer, saved: dict[str, Any], photo: Image.Image, mask: Image.Image
) -> None:
    result = server.image(saved).convert("RGB")
    assert result.size == photo.size
    difference = np.abs(np.asarray(result, int) - np.asarray(photo, int)).max(axis=2)
    left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
    assert difference[np.asarray(mask) > 0].mean() > 10
    near = (slice(max(0, top - REACH), bottom + REACH), slice(left - REACH, right + REACH))
    difference[near] = 0
    assert not difference.any()


@BOTH
def test_remove_object(
    canvas: Canvas,
    server: ComfyServer,
    photo: Image.Image,
    masked_photo: Image.Image,
    object_mask: Image.Image,
) -> None:
    open_graph(canvas, PICTURE)
    canvas.set_widget("1", "image", server.upload(masked_photo))
    node = insert(canvas, "Remove Object (CleanPlate)")
    canvas.set_widget(node, "shadow", False)
    connect(canvas, ("1", 0, node, "image"), ("1", 1, node, "mask"), (node, 0, "2", "images"))
    (saved,) = canvas.run().images("2")
    check_only_the_mask_changed(server, saved, photo, object_mask)
    assert canvas.errors == []


@BOTH
def test_refine_region(
    canvas: Canvas,
    server: ComfyServer,
    photo: Image.Image,
    masked_photo: Image.Image,
    object_mask: Image.Image,
) -> None:
    """What is not connected (negative, upscale_model) is left out."""
    open_graph(canvas, PICTURE | MODELS)
    canvas.set_widget("1", "image", server.upload(masked_photo))
    node = insert(canvas, "Refine Region (CleanPlate)")
    for name, value in {"model_family": "SD 1.5", "steps": 1, "denoise": 1.0, "seed": 7}.items():
        canvas.set_widget(node, name, value)
    connect(
        canvas,
        ("1", 0, node, "image"),
        ("1", 1, node, "mask"),
        ("3", 0, node, "model"),
        ("4", 0, node, "vae"),
        ("6", 0, node, "positive"),
        (node, 0, "2", "images"),
    )
    inside = {
        values["class_type"]: values["inputs"]
        for key, values in canvas.prompt().items()
        if key.startswith(f"{node}:")
    }
    assert inside["UpscaleToModelRes"]["model_family"] == "SD 1.5"
    refine = inside["FluxFillRefine"]
    assert (refine["steps"], refine["denoise"], refine["seed"]) == (1, 1.0, 7)
    assert "negative" not in refine
    (saved,) = canvas.run().images("2")
    check_only_the_mask_changed(server, saved, photo, object_mask)
    assert canvas.errors == []
