"""CropAroundMask and StitchBack through ComfyUI's executor."""

from __future__ import annotations

import pytest
import torch
from support.graphs import crop_graph, mask_of, node, picture, refine_graph

SPOTS = [(10, 10, 12, 14), (70, 90, 9, 20), (12, 100, 10, 10)]
EACH = {"one_crop_per": "object", "context_pixels": 6, "context_factor": 1.0, "feather": 4}


def test_the_outputs_of_a_crop(comfy):
    image, mask = picture(batch=2), mask_of(SPOTS[0])
    graph = crop_graph(comfy, image, mask * 0.7, grow=3)
    run = comfy.execute_graph(graph, want=["crop"]).check()
    stitch, crop, grown, painted, blend, box, is_empty = run.results["crop"]
    assert is_empty is False
    assert stitch.image.data_ptr() == image.data_ptr()
    assert crop.shape[:3] == grown.shape == painted.shape == blend.shape
    for boxes, place in zip(box, stitch.boxes, strict=True):
        (found,) = boxes
        assert set(found) == {"x", "y", "width", "height", "label", "score"}
        assert (found["x"], found["y"]) == (place.x, place.y)
        assert (found["height"], found["width"]) == crop.shape[1:3]
    place = stitch.boxes[0]
    assert torch.equal(painted[0], (mask * 0.7)[0, place.rows, place.columns])
    assert grown.sum() > mask.sum()
    assert (blend[grown == 1] == 1).all()


def test_other_nodes_read_the_box(comfy):
    """Core's crop node takes one box, which is how a list of one for each image is used there."""
    image = picture()
    graph = crop_graph(comfy, image, mask_of(SPOTS[0]))
    crop, box = comfy.execute_graph(graph, want=["crop"]).check().results["crop"][1::4][:2]
    graph = {
        "image": comfy.source(image),
        "box": comfy.source(box[0][0]),
        "cut": node("ImageCropV2", image=["image", 0], crop_region=["box", 0]),
    }
    (cut,) = comfy.execute_graph(graph, want=["cut"]).check().results["cut"]
    assert torch.equal(cut, crop)


def test_several_objects_are_changed_one_by_one_and_come_back_into_one_picture(comfy):
    image = picture(batch=2)
    graph = crop_graph(comfy, image, mask_of(*SPOTS), **EACH)
    graph["invert"] = node("ImageInvert", image=["crop", 1])
    graph["stitch"]["inputs"] |= {"image": ["invert", 0], "colour_match": "none"}
    run = comfy.execute_graph(graph, want=["crop", "stitch"]).check()
    stitches, crops, *_, empty = run.results["crop"]
    assert len(stitches) == len(crops) == len(empty) == 2 * len(SPOTS)
    result, weights = run.results["stitch"]
    assert result.shape == image.shape
    inside = mask_of(*SPOTS).expand(2, -1, -1) > 0
    assert torch.equal(weights == 1, inside)
    assert torch.allclose(result[inside], 1 - image[inside], atol=1e-6)
    assert torch.equal(result[weights == 0], image[weights == 0])


def rebatch(link, size):
    return node("RebatchImages", images=link, batch_size=size)


def test_crops_of_one_size_may_be_changed_as_one_batch(comfy):
    graph = crop_graph(comfy, picture(), mask_of(*SPOTS), **EACH, width=64, height=64)
    graph["batch"] = rebatch(["crop", 1], len(SPOTS))
    graph["invert"] = node("ImageInvert", image=["batch", 0])
    graph["stitch"]["inputs"] |= {"image": ["invert", 0], "colour_match": "none"}
    run = comfy.execute_graph(graph, want=["batch", "stitch"]).check()
    assert run.results["batch"][0].shape == (3, 64, 64, 3)
    result, weights = run.results["stitch"]
    inside = mask_of(*SPOTS) > 0
    assert (result[inside] - (1 - picture()[inside])).abs().max() < 0.02
    assert torch.equal(result[weights == 0], picture()[weights == 0])


def test_every_object_is_refined_by_a_model(comfy):
    image = picture()
    graph = refine_graph(comfy, image, mask_of(*SPOTS))
    graph |= {
        k: v
        for k, v in crop_graph(comfy, image, mask_of(*SPOTS), **EACH, width=64, height=64).items()
        if k in ("crop", "stitch")
    }
    graph["crop"]["inputs"] |= {"image": ["image", 0], "mask": ["mask", 0]}
    graph["refine"]["inputs"] |= {"image": ["crop", 1], "mask": ["crop", 2]}
    graph["stitch"]["inputs"]["image"] = ["refine", 0]
    run = comfy.execute_graph(graph, want=["stitch"]).check()
    result, weights = run.results["stitch"]
    assert torch.equal(result[weights == 0], image[weights == 0])
    for y, x, h, w in SPOTS:
        part = slice(y, y + h), slice(x, x + w)
        assert not torch.equal(result[0][part], image[0][part])


def test_a_list_of_pictures_gives_a_list_of_results(comfy):
    image = picture(batch=2) * torch.tensor([1.0, 0.5])[:, None, None, None]
    graph = crop_graph(comfy, image, mask_of(SPOTS[0]))
    graph["list"] = rebatch(["image", 0], 1)
    graph["crop"]["inputs"]["image"] = ["list", 0]
    results, weights = comfy.execute_graph(graph, want=["stitch"]).check().results["stitch"]
    assert torch.equal(torch.cat(results), image)
    assert [tuple(w.shape) for w in weights] == [(1, 101, 133)] * 2


def test_a_list_of_variants_gives_a_list_of_results(comfy):
    graph = crop_graph(comfy, picture(), mask_of(SPOTS[0]))
    shape = comfy.execute_graph(graph, want=["crop"]).check().results["crop"][1].shape
    graph["variants"] = comfy.source(torch.cat([torch.zeros(shape), torch.ones(shape)]))
    graph["list"] = rebatch(["variants", 0], 1)
    graph["stitch"]["inputs"] |= {"image": ["list", 0], "colour_match": "none"}
    results, _ = comfy.execute_graph(graph, want=["stitch"]).check().results["stitch"]
    assert [float(result[0, 15, 15, 0]) for result in results] == [0, 1]


def test_outpainting(comfy):
    image = picture()
    graph = crop_graph(comfy, image, mask_of(), extend_left=24, bounds="extend with grey")
    run = comfy.execute_graph(graph, want=["crop", "stitch"]).check()
    crop, mask = run.results["crop"][1:3]
    result, weights = run.results["stitch"]
    assert result.shape == (1, 101, 133 + 24, 3)
    assert (crop[mask == 1] == 0.5).all()
    assert torch.equal(result[:, :, 24:], image)
    assert (weights[:, :, :24] == 1).all()


@pytest.mark.parametrize("mask", [torch.zeros(1, 101, 133), mask_of(SPOTS[0]) * 0.3])
def test_an_empty_mask_is_said_and_told(comfy, mask):
    run = comfy.execute_graph(crop_graph(comfy, picture(), mask), want=["crop"]).check()
    assert run.results["crop"][-1] is True
    assert any("passes through unchanged" in text for _, text in run.texts)


def test_crops_that_do_not_belong_together_are_refused(comfy):
    graph = crop_graph(comfy, picture(), mask_of(*SPOTS), **EACH)
    graph["pair"] = comfy.source(torch.zeros(2, 8, 8, 3))
    graph["other"] = rebatch(["pair", 0], 1)
    graph["stitch"]["inputs"]["image"] = ["other", 0]
    run = comfy.execute_graph(graph, want=["stitch"])
    assert run.status == "error"
    assert "stitch holds 3 crops but image holds 2" in run.error["exception_message"]
