import pytest
import torch

from cleanplate.upscale.tiled import ModelUpscaler


class Nearest(torch.nn.Module):
    """As much of a descriptor as the upscaler uses; counts calls and can run out of memory."""

    scale = 2

    def __init__(self, most=10**9):
        super().__init__()
        self.most = most
        self.sides = []

    def forward(self, planes):
        self.sides.append(max(planes.shape[2:]))
        if self.sides[-1] > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return planes.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


@pytest.mark.parametrize(("height", "width"), [(20, 30), (512, 512), (513, 40), (700, 1100)])
def test_tiles_make_up_the_whole(height, width):
    image = torch.rand(2, height, width, 3)
    model = Nearest()
    result = ModelUpscaler(model)(image)
    assert torch.equal(result, image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2))
    assert max(model.sides) <= 512
    assert not model.training


def test_smaller_tiles_when_memory_runs_out():
    image = torch.rand(1, 600, 300, 3)
    model = Nearest(most=200)
    result = ModelUpscaler(model)(image)
    assert result.shape == (1, 1200, 600, 3)
    assert model.sides[-1] <= 128


def test_gives_up_when_no_tile_fits():
    with pytest.raises(torch.OutOfMemoryError):
        ModelUpscaler(Nearest(most=10))(torch.rand(1, 300, 300, 3))


def test_progress_before_each_tile():
    calls = []
    ModelUpscaler(Nearest(), step=lambda done, total: calls.append((done, total)))(
        torch.rand(1, 600, 300, 3)
    )
    assert calls == [(0, 2), (1, 2), (2, 2)]
