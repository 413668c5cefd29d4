"""The nodes on tensors, through ComfyUI's executor."""

from __future__ import annotations

import pytest
import torch
from support.graphs import (
    FILL,
    LAMA,
    REFINE,
    SIZE,
    crop_graph,
    lama_graph,
    mask_of,
    node,
    picture,
    refine_graph,
    sd_graph,
)

from cleanplate.masks import distance

SPOTS = {
    "middle": (40, 50, 20, 25),
    "corner": (0, 0, 15, 15),
    "border": (90, 60, 11, 20),
    "pixel": (50, 60, 1, 1),
}


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize(
    ("batch", "channels", "dtype"),
    [(1, 3, torch.float32), (2, 4, torch.float32), (1, 3, torch.float16)],
)
def test_lama_removes_inside_its_mask_only(comfy, spot, batch, channels, dtype):
    clean = picture(batch=batch, channels=channels, dtype=dtype)
    mask = mask_of(SPOTS[spot])
    image = clean.clone()
    image[..., :3][mask.expand(batch, -1, -1) > 0] = 1.0
    run = comfy.execute_graph(lama_graph(comfy, image, mask), want=["remove"]).check()
    result, changed = run.results["remove"]
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert torch.equal(result[changed == 0], image.float()[changed == 0])
    assert torch.equal(changed[0] == 1, distance(mask[0] > 0) <= LAMA["grow"])
    assert torch.equal(result[..., 3:], image.float()[..., 3:])
    # the stand-in fills from the surroundings: the white spot is gone
    where = mask[0] > 0
    assert (result[0][where][:, :3] - clean.float()[0][where][:, :3]).abs().max() < 0.25


@pytest.mark.parametrize("name", ["big-lama.pt", "best.ckpt"])
def test_other_files_of_lama(comfy, name):
    graph = lama_graph(comfy, picture(), mask_of((40, 50, 9, 9)))
    expected = comfy.execute_graph(graph, want=["remove"]).check().results["remove"][0]
    graph["model"]["inputs"]["model_name"] = name
    result = comfy.execute_graph(graph, want=["remove"]).check().results["remove"][0]
    assert torch.equal(result, expected)


def test_the_name_of_the_model_may_come_from_another_node(comfy):
    graph = lama_graph(comfy, picture(), mask_of((40, 50, 9, 9)))
    graph["name"] = comfy.source("big-lama.safetensors")
    graph["model"]["inputs"]["model_name"] = ["name", 0]
    comfy.execute_graph(graph, want=["remove"]).check()


def test_lama_is_managed_by_comfyui_and_leaves_with_its_graph(comfy):
    import comfy.model_management as management

    graph = lama_graph(comfy, picture(), mask_of((40, 50, 9, 9)))
    run = comfy.execute_graph(graph, want=["remove", "model"]).check()
    (model,) = run.results["model"]
    assert model.patcher in [loaded.model for loaded in management.current_loaded_models]
    management.unload_all_models()
    assert model.patcher not in [loaded.model for loaded in management.current_loaded_models]
    # and a second run brings it back
    graph["remove"]["inputs"]["grow"] = 3
    comfy.execute_graph(graph, want=["remove"]).check()


@pytest.mark.parametrize("method", ["telea", "navier_stokes"])
def test_content_aware_fill(comfy, method):
    clean, mask = picture(), mask_of(SPOTS["middle"], SPOTS["corner"])
    image = clean.clone()
    image[mask > 0] = 1.0
    graph = {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "fill": node(
            "ContentAwareFill", image=["image", 0], mask=["mask", 0], **{**FILL, "method": method}
        ),
    }
    result, changed = comfy.execute_graph(graph, want=["fill"]).check().results["fill"]
    assert torch.equal(result[changed == 0], image[changed == 0])
    assert (result[mask > 0] - clean[mask > 0]).abs().max() < 0.2


@pytest.mark.parametrize("bounds", ["keep inside the image", "extend beyond the image"])
@pytest.mark.parametrize("spot", SPOTS)
def test_crop_and_stitch_of_the_unchanged_crop(comfy, spot, bounds):
    image = picture(batch=2)
    graph = crop_graph(comfy, image, mask_of(SPOTS[spot]), bounds=bounds)
    run = comfy.execute_graph(graph, want=["crop", "stitch"]).check()
    _, crop, crop_mask, *_ = run.results["crop"]
    result, weights = run.results["stitch"]
    assert torch.equal(result, image)
    assert crop.shape[:3] == crop_mask.shape
    assert crop.shape[1] % 8 == 0
    assert (weights[0][mask_of(SPOTS[spot])[0] > 0] == 1).all()


def test_defaults_need_nothing_but_links(comfy):
    """As a hand-written API prompt: only the links and what has no default."""
    image, mask = picture(), mask_of(SPOTS["middle"])
    for class_type in ("LamaRemove", "ContentAwareFill", "CropAroundMask", "UpscaleToModelRes"):
        schema = comfy.node(class_type).GET_SCHEMA()
        values = {i.id: i.default for i in schema.inputs if getattr(i, "default", None) is not None}
        graph = lama_graph(comfy, image, mask)
        graph["x"] = node(class_type, image=["image", 0], mask=["mask", 0], **values)
        if class_type == "LamaRemove":
            graph["x"]["inputs"]["removal_model"] = ["model", 0]
        comfy.execute_graph(graph, want=["x"]).check()


@pytest.mark.parametrize(
    ("upscaler", "size", "calls"), [("2x-nearest", 60, 1), ("2x-nearest", 400, 0), (None, 60, 0)]
)
def test_upscale_to_model_res(comfy, upscaler, size, calls):
    image = picture(size, size)
    graph = {
        "image": comfy.source(image),
        "mask": comfy.source(mask_of((10, 10, 20, 20), height=size, width=size)),
        "up": node("UpscaleToModelRes", image=["image", 0], mask=["mask", 0], **SIZE),
    }
    if upscaler:
        graph["model"] = node("UpscaleModelLoader", model_name=f"{upscaler}.safetensors")
        graph["up"]["inputs"]["upscale_model"] = ["model", 0]
    run = comfy.execute_graph(graph, want=["up"]).check()
    result, mask = run.results["up"]
    assert result.shape == (1, 224, 224, 3)
    assert mask.shape == (1, 224, 224)
    assert result.is_contiguous()
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1
    # the mask lies where it was, at the new scale
    box = (mask[0] > 0.5).nonzero()
    low, high = 10 * 224 / size, 30 * 224 / size
    assert abs(int(box.min()) - low) <= 1
    assert abs(int(box.max()) + 1 - high) <= 1
    assert len({e["value"] for e in run.events("progress") if e["node"] == "up"}) == 2 * calls


@pytest.mark.parametrize(
    ("height", "width"), [(96, 128), (93, 131), (7, 5), (1, 1)], ids=lambda v: str(v)
)
def test_flux_refine_keeps_size_and_place_and_paints_the_mask(comfy, height, width):
    image = picture(height, width)
    mask = torch.zeros(1, height, width)
    mask[:, height // 4 : height * 3 // 4 + 1, width // 4 : width * 3 // 4 + 1] = 1
    graph = refine_graph(comfy, image, mask, "flux1-fill-dev.safetensors", steps=4)
    run = comfy.execute_graph(graph, want=["refine"]).check()
    result, latent = run.results["refine"]
    assert result.shape == image.shape
    assert latent["samples"].shape[1] == 16
    if min(height, width) > 64:
        # away from the rim of the mask, which the latent's cells blur
        deep = distance(mask[0] == 0) > 8
        far = distance(mask[0] > 0) > 8
        assert (result[0][deep] - torch.tensor([0.0, 1.0, 0.0])).abs().max() < 0.05
        assert (result[0][far] - image[0][far]).abs().max() < 0.06


@pytest.mark.parametrize(
    ("steps", "denoise"), [(20, 0.8), (4, 0.8), (20, 0.95), (20, 1.0)], ids=str
)
def test_flux_refine_starts_from_the_picture_below_denoise_1(comfy, steps, denoise):
    """The model keeps what it was started from; noise alone becomes grey."""
    image = picture() / 2
    mask = mask_of((30, 40, 48, 56))
    graph = refine_graph(
        comfy,
        image,
        mask,
        "flux1-fill-keeping.safetensors",
        "ae-keeping.safetensors",
        steps=steps,
        denoise=denoise,
    )
    result = comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0]
    if denoise < 1:
        assert (result - image)[mask > 0].abs().max() < 1 / 255
    else:
        deep = distance(mask[0] == 0) > 8
        assert (result[0][deep] - 0.5).abs().max() < 1 / 255
        assert (result - image)[0][deep].abs().min() > 0.1


def test_flux_refine_expands_into_cores_nodes(comfy):
    graph = refine_graph(comfy, picture(64, 64), mask_of((16, 16, 20, 20), height=64, width=64))
    run = comfy.execute_graph(graph, want=["refine"]).check()
    kinds = {name.rsplit(".", 1)[-1] for name in run.executed if name.startswith("refine.")}
    assert kinds == {"guidance", "negative", "differential", "conditioning", "sample", "decode"}
    # the sampler's progress is the node's progress
    assert [e["value"] for e in run.events("progress")][-1] == REFINE["steps"]


def test_another_seed_or_prompt_gives_another_picture_and_the_same_the_same(comfy):
    graph = refine_graph(comfy, picture(64, 64), mask_of((16, 16, 20, 20), height=64, width=64))
    first = comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0]
    graph["refine"]["inputs"]["seed"] = 2
    assert not torch.equal(
        comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0], first
    )
    graph["refine"]["inputs"]["seed"] = 1
    comfy.reset()
    assert torch.equal(
        comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0], first
    )
    graph["text"]["inputs"]["text"] = "grass"
    assert not torch.equal(
        comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0], first
    )


def test_an_sd_inpainting_model_uses_cfg_and_negative_and_no_guidance(comfy):
    graph = sd_graph(comfy, picture(64, 64), mask_of((16, 16, 20, 20), height=64, width=64))

    def run():
        done = comfy.execute_graph(graph, want=["refine"]).check()
        return done.results["refine"][0], done.executed

    first, executed = run()
    assert first.shape == (1, 64, 64, 3)
    assert not any(name.endswith("guidance") for name in executed)
    graph["refine"]["inputs"]["guidance"] = 3.5
    assert torch.equal(run()[0], first)
    # the stand-in's text encoder says the same of every text, so the negative is made by hand
    against = torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(5))
    graph["against"] = comfy.source([[against, {}]])
    graph["refine"]["inputs"]["negative"] = ["against", 0]
    second, executed = run()
    assert not torch.equal(second, first)
    assert not any(name.endswith("negative") for name in executed)
    graph["refine"]["inputs"]["cfg"] = 2.0
    assert not torch.equal(run()[0], second)


@pytest.mark.parametrize(
    ("steps", "denoise", "enough"),
    [(3, 0.8, 4), (4, 0.8, None), (8, 0.9, 9), (9, 0.9, None), (2, 1.0, None), (1, 0.5, None)],
)
def test_too_few_steps_for_a_denoise_are_said(comfy, steps, denoise, enough):
    image, mask = picture(64, 64), mask_of((16, 16, 20, 20), height=64, width=64)
    graph = refine_graph(comfy, image, mask, steps=steps, denoise=denoise)
    run = comfy.execute_graph(graph, want=["refine"]).check()
    said = [text for _, text in run.texts if "starts from pure noise" in text]
    assert len(said) == (enough is not None)
    assert all(f"at least {enough} steps" in text for text in said)


def test_nothing_is_refined_at_denoise_0(comfy):
    image, mask = picture(64, 64), mask_of((16, 16, 20, 20), height=64, width=64)
    graph = refine_graph(comfy, image, mask, denoise=0.0)
    run = comfy.execute_graph(graph, want=["refine"]).check()
    refined, latent = run.results["refine"]
    assert torch.equal(refined, image)
    assert latent["samples"].shape == (1, 16, 8, 8)
    assert any("denoise is 0" in text for _, text in run.texts)


def test_flux_ignores_cfg_and_negative(comfy):
    graph = refine_graph(comfy, picture(64, 64), mask_of((16, 16, 20, 20), height=64, width=64))
    first = comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0]
    graph["refine"]["inputs"].update(cfg=2.0, negative=["text", 0])
    assert torch.equal(
        comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0], first
    )


def test_a_batch_with_a_mask_each_is_refined(comfy):
    masks = torch.cat([mask_of((8, 8, 24, 24), height=64, width=64) for _ in range(2)])
    masks[1] = masks[1].flip(-1)
    graph = refine_graph(comfy, picture(64, 64, 2), masks, "flux1-fill-dev.safetensors", steps=4)
    result = comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0]
    green = (result - torch.tensor([0.0, 1.0, 0.0])).abs().amax(-1) < 0.1
    assert green[0, 20, 20]
    assert not green[0, 20, 44]
    assert green[1, 20, 44]
    assert not green[1, 20, 20]


def test_a_list_of_crops_is_refined_one_by_one(comfy):
    graph = refine_graph(comfy, picture(64, 64, 3), mask_of((16, 16, 20, 20), height=64, width=64))
    graph["list"] = node("ImageFromBatch", image=["image", 0], batch_index=0, length=3)
    graph["split"] = node("RebatchImages", images=["image", 0], batch_size=1)
    graph["refine"]["inputs"]["image"] = ["split", 0]
    results = comfy.execute_graph(graph, want=["refine"]).check().results["refine"][0]
    assert [tuple(r.shape) for r in results] == [(1, 64, 64, 3)] * 3
