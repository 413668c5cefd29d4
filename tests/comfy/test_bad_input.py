"""What a user gets for input that cannot work: one sentence, before anything heavy."""

from __future__ import annotations

import shutil

import pytest
import torch
from standins.broken import (
    write_esrgan,
    write_malicious_pickle,
    write_text,
    write_truncated_safetensors,
)
from support.graphs import (
    CROP,
    crop_graph,
    fill_graph,
    lama_graph,
    mask_of,
    node,
    picture,
    refine_graph,
    sd_graph,
    upscale_graph,
)
from support.results import PromptRejected

GRAPHS = {
    "LamaRemove": (lama_graph, "remove"),
    "ContentAwareFill": (fill_graph, "fill"),
    "CropAroundMask": (crop_graph, "stitch"),
    "UpscaleToModelRes": (upscale_graph, "up"),
    "FluxFillRefine": (refine_graph, "refine"),
}
REMOVERS = ("LamaRemove", "ContentAwareFill")


def refusal(comfy, graph, want) -> str:
    run = comfy.execute_graph(graph, want=[want])
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    # nothing was sampled or filled before
    assert not any(name.endswith(".sample") for name in run.executed)
    assert list(run.events("progress")) == []
    message = run.error["exception_message"].strip()
    assert "\n" not in message
    return message


BAD = {
    "mask of another size": (picture(), torch.ones(1, 50, 133), ["133x50", "133x101"]),
    "mask count": (picture(batch=3), mask_of().expand(2, -1, -1), ["2 masks", "3 images"]),
    "LoadImage's empty mask": (picture(), torch.zeros(1, 64, 64), ["Load Image", "mask editor"]),
    "NaN in image": (picture() * torch.nan, mask_of((40, 50, 9, 9)), ["image", "NaN"]),
    "one channel": (picture()[..., :1], mask_of((40, 50, 9, 9)), ["image", "3 or 4"]),
    "NaN in mask": (picture(), mask_of() * torch.nan, ["mask", "NaN"]),
}


@pytest.mark.parametrize("class_type", GRAPHS)
@pytest.mark.parametrize("case", BAD)
def test_refused(comfy, class_type, case):
    make, want = GRAPHS[class_type]
    image, mask, parts = BAD[case]
    message = refusal(comfy, make(comfy, image, mask), want)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("class_type", GRAPHS)
@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "The mask is empty"), (0.3, "nowhere stronger than 0.30")]
)
def test_an_empty_mask_passes_the_image_through_and_says_so(comfy, class_type, value, words):
    make, want = GRAPHS[class_type]
    image = picture(96, 128)
    mask = mask_of((40, 50, 9, 9), height=96, width=128) * value
    run = comfy.execute_graph(make(comfy, image, mask), want=[want]).check()
    assert torch.equal(run.results[want][0], image)
    assert any(words in text for _, text in run.texts)
    assert not any(name.endswith(".sample") for name in run.executed)


@pytest.mark.parametrize("class_type", GRAPHS)
def test_a_mask_everywhere(comfy, class_type):
    make, want = GRAPHS[class_type]
    graph = make(comfy, picture(64, 64), torch.ones(1, 64, 64))
    if class_type in REMOVERS:
        assert "covers the whole image" in refusal(comfy, graph, want)
    else:
        comfy.execute_graph(graph, want=[want]).check()


@pytest.mark.parametrize("class_type", GRAPHS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5)])
def test_tiny_images(comfy, class_type, height, width):
    make, want = GRAPHS[class_type]
    mask = torch.zeros(1, height, width)
    mask[0, 0, 0] = 1
    graph = make(comfy, picture(height, width), mask)
    if class_type in REMOVERS and height == 1:
        assert "covers the whole image" in refusal(comfy, graph, want)
        return
    result = comfy.execute_graph(graph, want=[want]).check().results[want][0]
    assert result.isfinite().all()
    if class_type != "UpscaleToModelRes":
        assert result.shape == (1, height, width, 3)


@pytest.mark.parametrize("class_type", GRAPHS)
def test_a_picture_with_transparency(comfy, class_type):
    make, want = GRAPHS[class_type]
    image = picture(channels=4)
    graph = make(comfy, image, mask_of((40, 50, 9, 9)))
    result = comfy.execute_graph(graph, want=[want]).check().results[want][0]
    if class_type == "FluxFillRefine":
        assert result.shape[-1] == 3
    else:
        assert result.shape[-1] == 4
        assert (result[..., 3] - 0.5).abs().max() < 1e-5


def test_a_stitch_of_another_batch(comfy):
    graph = crop_graph(comfy, picture(batch=3), mask_of((40, 50, 9, 9)))
    graph["other"] = comfy.source(picture(64, 64, batch=2))
    graph["stitch"]["inputs"]["image"] = ["other", 0]
    assert "stitch holds 3 images but image holds 2" in refusal(comfy, graph, "stitch")


@pytest.fixture
def in_models(comfy):
    folder = comfy.base / "models" / "inpaint"
    written = []

    def write(name, make):
        written.append(folder / name)
        make(folder / name)
        return name

    yield write
    for path in written:
        path.unlink()


@pytest.mark.parametrize(
    ("name", "make", "parts"),
    [
        ("half.safetensors", write_truncated_safetensors, ["half.safetensors is damaged"]),
        ("page.safetensors", write_text, ["page.safetensors is a text file"]),
        ("page.pt", write_text, ["page.pt is a text file"]),
        ("esrgan.safetensors", write_esrgan, ["ESRGAN", "does not fill holes"]),
    ],
)
def test_files_that_are_no_removal_model(comfy, in_models, name, make, parts):
    graph = {"model": node("LoadRemovalModel", model_name=in_models(name, make))}
    message = refusal(comfy, graph, "model")
    for part in parts:
        assert part in message


def test_code_in_a_model_file_never_runs(comfy, in_models, tmp_path):
    marker = tmp_path / "ran"
    name = in_models("evil.pt", lambda path: write_malicious_pickle(path, marker))
    graph = {"model": node("LoadRemovalModel", model_name=name)}
    assert "holds Python code" in refusal(comfy, graph, "model")
    assert not marker.exists()


def test_a_missing_model_says_where_it_belongs_and_where_it_is_published(comfy):
    graph = {"model": node("LoadRemovalModel", model_name="absent.safetensors")}
    with pytest.raises(PromptRejected) as rejected:
        comfy.execute_graph(graph, want=["model"])
    for part in ("absent.safetensors", "models/inpaint", "https://github.com/Sanster/models"):
        assert part in str(rejected.value)


@pytest.mark.parametrize("name", ["../../secret.pt", "/etc/passwd"])
def test_a_path_out_of_the_folder_is_not_followed(comfy, name, tmp_path):
    shutil.copy(__file__, comfy.base / "secret.pt")
    with pytest.raises(PromptRejected):
        comfy.execute_graph({"model": node("LoadRemovalModel", model_name=name)}, want=["model"])


def test_what_is_no_spandrel_model_is_named(comfy):
    graph = lama_graph(comfy, picture(), mask_of((40, 50, 9, 9)))
    graph["other"] = comfy.source(torch.nn.Conv2d(3, 3, 1))
    graph["remove"]["inputs"]["removal_model"] = ["other", 0]
    assert "removal_model is a Conv2d" in refusal(comfy, graph, "remove")


def test_an_empty_context_mask_is_as_good_as_none(comfy):
    graph = crop_graph(comfy, picture(), mask_of((40, 50, 9, 9)))
    graph["context"] = comfy.source(torch.zeros(1, 64, 64))
    graph["crop"]["inputs"]["context_mask"] = ["context", 0]
    comfy.execute_graph(graph, want=["stitch"]).check()


def test_a_model_that_cannot_inpaint(comfy):
    image, mask = picture(64, 64), mask_of((8, 8, 9, 9), height=64, width=64)
    message = refusal(comfy, sd_graph(comfy, image, mask, "sd15.safetensors"), "refine")
    for part in ("model is a", "not trained to inpaint", "4 channels", "Flux Fill"):
        assert part in message


@pytest.mark.parametrize(
    ("name", "value"), [("grow", -1), ("feather", 999), ("bounds", "elsewhere"), ("multiple_of", 0)]
)
def test_settings_out_of_range_are_refused_before_anything_runs(comfy, name, value):
    graph = crop_graph(comfy, picture(), mask_of((40, 50, 9, 9)), **{name: value})
    assert name in CROP
    with pytest.raises(PromptRejected, match=name):
        comfy.execute_graph(graph, want=["stitch"])
