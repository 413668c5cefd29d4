"""ContentAwareFill in ComfyUI: its method patchmatch."""

from __future__ import annotations

import pytest
import torch
from support.graphs import mask_of, node, picture


def graph_of(comfy, image, mask, source=None, **settings):
    graph = {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "fill": node("ContentAwareFill", image=["image", 0], mask=["mask", 0], **settings),
    }
    if source is not None:
        graph["source"] = comfy.source(source)
        graph["fill"]["inputs"]["source_mask"] = ["source", 0]
    return graph


SETTINGS = {"method": "patchmatch", "grow": 3, "feather": 2}


def fill(comfy, *args, **settings):
    graph = graph_of(comfy, *args, **{**SETTINGS, **settings})
    return comfy.execute_graph(graph, want=["fill"]).check().results["fill"]


def test_patchmatch_is_the_default(comfy):
    inputs = {item.id: item for item in comfy.node("ContentAwareFill").GET_SCHEMA().inputs}
    assert inputs["method"].default == "patchmatch"
    assert inputs["method"].options == ["patchmatch", "telea", "navier_stokes"]
    assert inputs["seed"].control_after_generate
    assert inputs["source_mask"].optional


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [3, 4])
def test_fills_inside_its_mask_only(comfy, channels, dtype):
    image, mask = picture(channels=channels, dtype=dtype), mask_of((40, 50, 20, 25))
    result, changed = fill(comfy, image, mask)
    assert result.dtype == torch.float32
    assert torch.equal(result[changed == 0], image.float()[changed == 0])
    assert torch.equal(result[..., 3:], image.float()[..., 3:])
    assert (result != image.float())[mask > 0][:, :3].any(1).float().mean() > 0.9


def test_seed(comfy):
    image = torch.rand(1, 90, 90, 3, generator=torch.Generator().manual_seed(3))
    mask = mask_of((30, 30, 20, 25), height=90, width=90)
    first, again, other = (fill(comfy, image, mask, seed=s)[0] for s in (7, 7, 2**64 - 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_mask_may_be_empty_for_some_images(comfy):
    image = picture(batch=3)
    mask = torch.cat([mask_of((10, 10, 9, 9)), mask_of(), mask_of((60, 40, 9, 9))])
    result, changed = fill(comfy, image, mask)
    assert torch.equal(result[1], image[1])
    assert changed.flatten(1).any(1).tolist() == [True, False, True]


def test_source_mask(comfy):
    image = torch.rand(1, 120, 200, 3, generator=torch.Generator().manual_seed(3)) * 0.2
    image[:, :, 150:] += 0.7
    mask = mask_of((50, 30, 20, 20), height=120, width=200)
    source = mask_of((0, 150, 120, 50), height=120, width=200)
    result, _ = fill(comfy, image, mask, source)
    assert result[:, 55:65, 35:45].mean() > 0.5


@pytest.mark.parametrize("spot", [(0, 0, 0, 0), (42, 52, 5, 5)], ids=["empty", "in the hole"])
def test_a_source_mask_that_leaves_nothing(comfy, spot):
    graph = graph_of(comfy, picture(), mask_of((40, 50, 20, 25)), mask_of(spot), **SETTINGS)
    run = comfy.execute_graph(graph, want=["fill"])
    with pytest.raises(Exception, match="source_mask marks nothing") as refused:
        run.check()
    assert "nothing to copy" in str(refused.value)


def test_a_method_that_does_not_copy_says_that_it_ignores_the_source(comfy, caplog):
    graph = graph_of(
        comfy,
        picture(),
        mask_of((40, 50, 9, 9)),
        mask_of((0, 0, 9, 9)),
        **{**SETTINGS, "method": "telea"},
    )
    with caplog.at_level("INFO"):
        comfy.execute_graph(graph, want=["fill"]).check()
    assert "source_mask is ignored: telea does not copy" in caplog.text


def test_cancel_within_a_scale(comfy, monkeypatch):
    import comfy.model_management as management
    from comfy.utils import ProgressBar

    shown = []
    update = ProgressBar.update_absolute

    def interrupt_at_the_third(bar, value, total=None, preview=None):
        shown.append(value / total)
        if len(shown) == 3:
            management.interrupt_current_processing()
        update(bar, value, total, preview)

    monkeypatch.setattr(ProgressBar, "update_absolute", interrupt_at_the_third)
    image, mask = picture(300, 300), mask_of((100, 100, 80, 80), height=300, width=300)
    run = comfy.execute_graph(graph_of(comfy, image, mask, **SETTINGS), want=["fill"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert len(shown) == 3
    assert shown[-1] < 0.1
