import pytest
import torch

from cleanplate import masks
from cleanplate.prepare import PreparedMask, PrepareSettings, prepare_mask

SIZE = 160


def disc(radius: float, x: float = 80, y: float = 80) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def picture(batch: int = 1, *, shadow: bool = False) -> torch.Tensor:
    """A blue disc of radius 30 on sand, its shadow to the right if wanted."""
    noise = torch.randn(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(0))
    image = torch.tensor([0.7, 0.6, 0.45]) * (1 + 0.03 * noise)
    if shadow:
        image[disc(20, 112, 95)] *= 0.5
    image[disc(30)] = torch.tensor([0.2, 0.3, 0.8])
    return image.clamp(0, 1).expand(batch, -1, -1, -1).clone()


def notes(mask: torch.Tensor, image: torch.Tensor | None = None, **settings) -> str:
    return prepare_mask(mask, image, PrepareSettings(**settings)).text


def test_holes_growth_and_feather_are_those_of_the_library():
    ring = disc(30) & ~disc(20)
    result = prepare_mask(ring.float()[None], None, PrepareSettings(grow=5, feather=7))
    assert torch.equal(result.mask[0], masks.feather(masks.grow(disc(30), 5), 7))
    assert f"Filled holes of {int(disc(20).sum())} pixels." in result.text
    kept = prepare_mask(ring.float()[None], None, PrepareSettings(fill_holes=False, grow=0))
    assert torch.equal(kept.mask[0] == 1, ring)


def test_a_soft_mask_counts_from_its_half():
    soft = disc(20).float() * 0.5 + disc(40).float() * 0.4
    assert torch.equal(prepare_mask(soft, None, PrepareSettings(grow=0)).mask[0] == 1, disc(20))


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("shadow", [False, True])
def test_number_of_masks(batch, count, shadow):
    mask = disc(32).float().expand(count, -1, -1)
    result = prepare_mask(mask, picture(batch, shadow=True), PrepareSettings(shadow=shadow))
    assert result.mask.shape == (batch if shadow else count, SIZE, SIZE)
    assert len(result.notes) == batch


def test_the_shadow_differs_from_image_to_image():
    image = torch.cat([picture(shadow=True), picture()])
    with_shadow, without = prepare_mask(disc(32).float(), image, PrepareSettings(shadow=True)).mask
    assert torch.equal(without == 1, masks.grow(disc(32), 4))
    assert (with_shadow[disc(20, 112, 95)] == 1).all()


def test_the_text_says_what_became_of_the_shadow():
    mask = disc(32).float()
    text = notes(mask, picture(shadow=True), shadow=True)
    assert "Followed the shadow of 1 object" in text
    assert "as dark as 5" in text
    assert "No shadow is certain enough" in notes(mask, picture(), shadow=True)
    assert "shadow" not in notes(mask, picture(shadow=True))


def test_a_shadow_needs_the_image():
    with pytest.raises(ValueError, match="shadow is on but no image is connected"):
        prepare_mask(disc(32).float(), None, PrepareSettings(shadow=True))


def test_the_mask_that_comes_out_is_judged():
    tight = disc(24).float()
    text = notes(tight, picture(), grow=0)
    assert "cut through the object" in text
    assert "about 6 pixels outside" in text
    assert "Grow it by 10 more" in text
    assert "cut through" not in notes(tight, picture(), grow=10)
    assert "cut through" not in notes(tight, grow=0)


def test_one_mask_is_judged_on_each_image():
    images = torch.cat([picture(), picture() * 0 + 0.5])
    result = prepare_mask(disc(26).float(), images, PrepareSettings(grow=0))
    assert result.mask.shape[0] == 1
    assert ["cut through" in " ".join(note) for note in result.notes] == [True, False]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.zeros(SIZE, SIZE), "The mask is empty"),
        (disc(30) * 0.3, "nowhere stronger than 0.30"),
        (torch.ones(SIZE, SIZE), "covers 100% of the image"),
        ((torch.arange(SIZE) < 124)[:, None].expand(SIZE, SIZE), "covers 80% of the image"),
        (disc(3, 0, 80) | disc(3, 159, 80) | disc(3, 80, 0) | disc(3, 80, 159), "all four borders"),
    ],
)
def test_warnings(mask, words):
    assert words in notes(mask.float(), picture())
    assert words in notes(mask.float())


def test_an_empty_mask_stays_empty():
    assert not prepare_mask(
        torch.zeros(SIZE, SIZE), picture(), PrepareSettings(feather=9)
    ).mask.any()


@pytest.mark.parametrize(
    ("mask", "image", "words"),
    [
        (torch.zeros(0, 8, 8), None, "mask is empty"),
        (torch.zeros(1, 8, 8, 3), None, "Convert Image to Mask"),
        (torch.full((1, 8, 8), torch.nan), None, "NaN"),
        (torch.zeros(1, 9, 9), picture(), "mask is 9x9 but image is 160x160"),
        (torch.zeros(2, SIZE, SIZE), picture(3), "2 masks for 3 images"),
        (torch.zeros(1, 64, 64), picture(), "Load Image"),
        (torch.zeros(1, SIZE, SIZE), picture()[..., :1], "3 or 4"),
        (torch.zeros(1, SIZE, SIZE), picture() * torch.nan, "NaN"),
    ],
)
def test_refused(mask, image, words):
    with pytest.raises(ValueError, match=words) as refusal:
        prepare_mask(mask, image)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (5, 1), (7, 5)])
@pytest.mark.parametrize("shadow", [False, True])
def test_tiny_images(height, width, shadow):
    mask = torch.zeros(1, height, width)
    mask[0, 0, 0] = 1
    settings = PrepareSettings(grow=0, shadow=shadow)
    result = prepare_mask(mask, torch.rand(1, height, width, 3), settings)
    assert torch.equal(result.mask, mask)


def test_inputs_stay_and_types_are_taken():
    image, mask = picture(shadow=True).half(), disc(30)[None]
    before = image.clone(), mask.clone()
    result = prepare_mask(mask, image, PrepareSettings(shadow=True))
    assert result.mask.dtype == torch.float32
    assert torch.equal(image, before[0])
    assert torch.equal(mask, before[1])


def test_images_in_a_row_share_a_line():
    made = PreparedMask(torch.zeros(4, 1, 1), (("a.", "b."), ("a.", "b."), ("c.",), ("a.", "b.")))
    assert made.text.splitlines() == ["Images 0 to 1: a. b.", "Image 2: c.", "Image 3: a. b."]
    assert PreparedMask(torch.zeros(1, 1, 1), (("a.", "b."),)).text == "a. b."


def test_progress_is_told_before_each_image():
    calls = []
    prepare_mask(disc(9).float(), picture(3), step=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
