import pytest
import torch

from cleanplate.masks import distance
from cleanplate.pipeline import remove_object
from cleanplate.upscale.target import ModelFamily

SMALL = ModelFamily(128 * 128, 16)


def grey(image, hole):
    return torch.where(hole[..., None] > 0, 0.5, image)


class Refiner:
    def __init__(self):
        self.seen = []

    def __call__(self, image, mask):
        self.seen.append((image.clone(), mask.clone()))
        return torch.where(mask[..., None] > 0, 0.0, image)


@pytest.fixture
def scene():
    image = torch.rand(2, 150, 220, 3, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(2, 150, 220)
    mask[0, 60:80, 90:120] = 1
    return image, mask


def test_fill_alone(scene):
    image, mask = scene
    removal = remove_object(image, mask, fill=grey, grow=4)
    assert (removal.image[0, 60:80, 90:120] == 0.5).all()
    assert torch.equal(removal.image[removal.mask == 0], image[removal.mask == 0])
    assert torch.equal(removal.image[1], image[1])


def test_the_refiner_gets_the_removed_crop_at_its_own_size_and_changes_only_the_mask(scene):
    image, mask = scene
    refiner = Refiner()
    removal = remove_object(image, mask, fill=grey, refiner=refiner, family=SMALL, feather=10)
    # The second image has no mask, so its refiner never runs.
    ((crop, crop_mask),) = refiner.seen
    assert crop.shape[1] % 16 == 0
    assert crop.shape[2] % 16 == 0
    assert crop.shape[:3] == crop_mask.shape
    inside = crop_mask[0] > 0.99
    assert (crop[0][inside] - 0.5).abs().max() < 0.2
    assert (removal.image[0, 60:80, 90:120] == 0).all()
    assert (removal.removed[0, 60:80, 90:120] == 0.5).all()
    assert torch.equal(removal.image[removal.mask == 0], image[removal.mask == 0])
    assert torch.equal(removal.image[1], image[1])
    assert (distance(mask[0] > 0)[removal.mask[0] > 0] < 8 + 4 + 10).all()


def test_stages_are_reported_and_can_cancel(scene):
    stages = []

    def progress(stage, done, total):
        stages.append(stage)
        if stage == "refine":
            raise KeyboardInterrupt

    refiner = Refiner()
    with pytest.raises(KeyboardInterrupt):
        remove_object(*scene, fill=grey, refiner=refiner, family=SMALL, progress=progress)
    assert stages == ["fill", "fill", "refine"]
    assert refiner.seen == []


def test_an_empty_mask_returns_the_image(scene):
    image, mask = scene
    refiner = Refiner()
    removal = remove_object(image, mask * 0, fill=grey, refiner=refiner)
    assert torch.equal(removal.image, image)
    assert refiner.seen == []
