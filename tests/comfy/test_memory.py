"""How models come to where they compute."""

import sys
from types import SimpleNamespace

import torch


def test_a_model_that_another_node_moved_comes_back(comfy, monkeypatch):
    """Some nodes move models by hand, behind the back of ComfyUI's memory management."""
    import comfy.model_management as management
    from comfy.model_patcher import ModelPatcher

    shared = sys.modules[comfy.node("LamaRemove").__module__.rpartition(".")[0] + ".shared"]
    # Without a GPU, the device that stores nothing stands for one.
    there, away = torch.device("meta"), torch.device("cpu")
    free = (2**40, 2**40)
    monkeypatch.setattr(
        management, "get_free_memory", lambda *_, **k: free if k.get("torch_free_too") else free[0]
    )
    network = torch.nn.Conv2d(3, 3, 3)
    model = SimpleNamespace(model=network, patcher=ModelPatcher(network, there, away))
    shared.bring_in(model, 0)
    assert network.weight.device == there
    network.to_empty(device=away)
    shared.bring_in(model, 0)
    assert network.weight.device == there
