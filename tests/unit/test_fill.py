import pytest
import torch

from cleanplate.fill.classical import METHODS
from cleanplate.fill.regions import fill_regions
from cleanplate.masks import distance


class Painter:
    """A fill that paints one colour and keeps what it was shown."""

    def __init__(self, colour=0.0):
        self.colour = colour
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self, image, hole):
        self.seen.append((image.clone(), hole.clone()))
        return torch.where(hole[..., None] > 0, self.colour, image)

    @property
    def pixels(self):
        return sum(image.shape[1] * image.shape[2] for image, _ in self.seen)


def picture(batch=1, height=101, width=67, channels=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    return (0.2 + 0.6 * torch.rand(batch, height, width, channels, generator=generator)).to(dtype)


def mask_of(*spots, height=101, width=67):
    mask = torch.zeros(1, height, width)
    for y, x, h, w in spots:
        mask[0, y : y + h, x : x + w] = 1
    return mask


@pytest.mark.parametrize(
    "spot", [(40, 30, 9, 7), (0, 0, 5, 5), (90, 60, 11, 7), (50, 0, 1, 67), (3, 4, 1, 1)]
)
@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (8, 4), (3, 0), (0, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [3, 4])
def test_changes_the_grown_mask_and_nothing_else(spot, grow, feather, dtype, channels):
    image, mask = picture(channels=channels, dtype=dtype), mask_of(spot)
    before = image.clone()
    result, changed = fill_regions(image, mask, Painter(), grow=grow, feather=feather)
    away = distance(mask[0] > 0)
    assert result.dtype == dtype
    assert result.shape == image.shape
    assert torch.equal(image, before)
    assert torch.equal(changed[0] == 1, away <= grow)
    untouched = changed[0] == 0
    assert torch.equal(result[0][untouched], image[0][untouched])
    assert (away[~untouched] <= grow + feather + 1e-4).all()
    assert (result[0][away <= grow][:, :3] == 0).all()
    assert torch.equal(result[..., 3:], image[..., 3:])


def test_the_network_sees_a_crop_of_the_surroundings():
    image, mask = picture(1, 600, 700), mask_of((300, 300, 60, 60), height=600, width=700)
    painter = Painter()
    fill_regions(image, mask, painter, context_factor=3.0, context_pixels=48)
    ((crop, hole),) = painter.seen
    # the mask grows by 12, beyond which 64 pixels are known, whatever less is asked for
    assert crop.shape[1:3] == (60 + 2 * (12 + 64), 60 + 2 * (12 + 64))
    assert not hole[:, 0].any()
    assert set(hole.unique().tolist()) == {0.0, 1.0}
    for factor, pixels, around in ((4.0, 48, 90), (1.0, 100, 100)):
        painter = Painter()
        fill_regions(image, mask, painter, context_factor=factor, context_pixels=pixels)
        assert painter.pixels == (60 + 2 * around) ** 2


def test_a_blob_of_5_percent_shows_at_most_17_percent_of_the_pixels():
    y, x = torch.meshgrid(torch.arange(2048.0), torch.arange(2048.0), indexing="ij")
    # an ellipse whose bounding box is 543x619 covers 6 %, as the measured blob covers 5 %
    blob = (((x - 1000) / 271.5) ** 2 + ((y - 1000) / 309.5) ** 2 <= 1).float()[None]
    assert 0.05 < blob.mean() < 0.07
    painter = Painter()
    fill_regions(torch.zeros(1, 2048, 2048, 3), blob, painter)
    assert painter.pixels <= 0.17 * 2048 * 2048


def test_objects_apart_have_their_own_crops_and_near_ones_share():
    image = picture(1, 400, 1000)
    apart = mask_of((100, 50, 20, 20), (200, 900, 20, 20), height=400, width=1000)
    near = mask_of((100, 50, 20, 20), (100, 120, 20, 20), height=400, width=1000)
    for mask, count in ((apart, 2), (near, 1)):
        painter = Painter()
        result, _ = fill_regions(image, mask, painter)
        assert len(painter.seen) == count
        assert (result[0][mask[0] > 0] == 0).all()
        assert painter.pixels < 0.4 * 400 * 1000
    # both holes are blank in the shared crop: neither is filled from the other's object
    assert (painter.seen[0][1].sum() > 2 * 20 * 20).all()


def test_masks_of_a_batch():
    image = picture(batch=3)
    masks = torch.cat([mask_of((10, 10, 5, 5)), torch.zeros(1, 101, 67), mask_of((60, 40, 9, 9))])
    painter = Painter()
    result, changed = fill_regions(image, masks, painter)
    assert len(painter.seen) == 2
    assert torch.equal(result[1], image[1])
    assert not changed[1].any()
    shared, _ = fill_regions(image, masks[:1], Painter())
    assert (shared[:, 10:15, 10:15] == 0).all()


class BatchPainter(Painter):
    batch_pixels = 300 * 300


def test_equal_crops_come_together_as_far_as_the_pixels_allow():
    image = picture(5, 400, 700)
    spot, other = (200, 200, 30, 30), (0, 0, 20, 30)
    masks = torch.cat([mask_of(s, height=400, width=700) for s in (spot, spot, other, spot, spot)])
    settings = {"context_pixels": 100, "context_factor": 1.0, "grow": 0, "feather": 0}
    single, together = Painter(0.25), BatchPainter(0.25)
    together.batch_pixels = 3 * 230 * 230
    expected = fill_regions(image, masks, single, **settings)
    calls = []
    result = fill_regions(image, masks, together, step=lambda *at: calls.append(at), **settings)
    assert torch.equal(result[0], expected[0]) and torch.equal(result[1], expected[1])
    assert [len(crop) for crop, _ in together.seen] == [3, 1, 1]
    assert calls == [(0, 5), (3, 5), (4, 5), (5, 5)]
    assert [len(crop) for crop, _ in single.seen] == [1] * 5


def test_crops_of_a_video_may_stay_in_one_place():
    image = picture(3, 400, 600)
    # an object that walks, then is gone
    masks = torch.cat(
        [
            mask_of(*spot, height=400, width=600)
            for spot in ([(100, 100, 40, 40)], [(110, 180, 40, 40)], [])
        ]
    )
    apart, shared = Painter(), Painter()
    expected, _ = fill_regions(image, masks, apart)
    result, changed = fill_regions(image, masks, shared, shared_crops=True)
    # the painter's colour does not depend on the crop, so the pictures are the same
    assert torch.equal(result, expected)
    assert len(apart.seen) == len(shared.seen) == 2
    (one, hole), (other, _) = shared.seen
    assert one.shape == other.shape
    assert torch.equal(one[hole == 0], image[:1, : one.shape[1], : one.shape[2]][hole == 0])
    assert not changed[2].any()


def test_memory_of_a_long_batch_is_that_of_a_few_crops(monkeypatch):
    """Counted in calls: never more crops at once than the pixels allow."""
    image = torch.zeros(1, 200, 200, 3).expand(40, -1, -1, -1)
    painter = BatchPainter(0.5)
    planned = []
    plain = fill_regions.__globals__["_crops"]
    monkeypatch.setitem(
        fill_regions.__globals__, "_crops", lambda *a, **k: planned.append(1) or plain(*a, **k)
    )
    result, _ = fill_regions(image, mask_of((90, 90, 9, 9), height=200, width=200), painter)
    assert max(len(crop) for crop, _ in painter.seen) == 300 * 300 // (200 * 200)
    assert sum(len(crop) for crop, _ in painter.seen) == 40
    # one mask for all is looked at once
    assert len(planned) == 1
    assert (result[:, 92, 92] == 0.5).all()


def test_an_empty_mask_calls_nothing():
    image = picture()
    painter = Painter()
    result, changed = fill_regions(image, torch.zeros(1, 101, 67), painter)
    assert torch.equal(result, image)
    assert not changed.any()
    assert painter.seen == []


@pytest.mark.parametrize("value", [0.5, 0.7])
def test_a_soft_brush_is_filled_and_a_faint_one_is_not(value):
    image, mask = picture(), mask_of((40, 30, 9, 7))
    assert (fill_regions(image, mask * value, Painter())[0][0, 42, 32] == 0).all()
    assert torch.equal(fill_regions(image, mask * 0.4, Painter())[0], image)


def test_a_mask_that_covers_everything_is_refused():
    with pytest.raises(ValueError, match="mask covers the whole image of image 1"):
        fill_regions(picture(batch=2), torch.stack([mask_of()[0], torch.ones(101, 67)]), Painter())


@pytest.mark.parametrize(("height", "width"), [(7, 5), (1, 2), (2, 2)])
@pytest.mark.parametrize("method", METHODS)
def test_growing_never_takes_the_last_known_pixel(height, width, method):
    image, mask = picture(1, height, width), torch.zeros(1, height, width)
    mask[0, 0, 0] = 1
    result, changed = fill_regions(image, mask, METHODS[method])
    assert changed.sum() == 1
    assert torch.equal(result[0][changed[0] == 0], image[0][changed[0] == 0])
    assert result.isfinite().all()


def test_the_source_is_in_every_crop_and_never_in_the_hole():
    image = picture(1, 300, 700)
    mask = mask_of((100, 50, 20, 20), (100, 300, 20, 20), height=300, width=700)
    source = mask_of((200, 600, 30, 50), (100, 300, 20, 60), height=300, width=700) * 0.6
    shown = []

    def fill(crop, hole, free):
        shown.append((crop, hole, free))
        return torch.zeros_like(crop)

    fill_regions(image, mask, fill, grow=3, feather=2, source=source)
    ((crop, hole, free),) = shown
    assert crop.shape[1:3] == hole.shape[1:] == free.shape[1:]
    assert set(free.unique().tolist()) == {0.0, 1.0}
    assert not (free * hole).any()
    # all of it but what the grown hole takes: 20 columns, and five more beyond them
    assert free.sum() == 30 * 50 + 20 * (60 - 20 - 5)


@pytest.mark.parametrize("marked", [[], [(42, 32, 3, 3)], [(40, 30, 9, 10)]])
def test_a_source_that_is_empty_or_in_the_hole_is_refused(marked):
    painter = Painter()
    with pytest.raises(ValueError, match="source_mask marks nothing outside"):
        fill_regions(picture(batch=2), mask_of((40, 30, 9, 7)), painter, source=mask_of(*marked))
    assert not painter.seen
    empty = torch.zeros(1, 101, 67)
    assert torch.equal(fill_regions(picture(), empty, painter, source=empty)[0], picture())


def test_progress_comes_before_each_crop_and_can_cancel():
    calls = []

    def step(done, total):
        calls.append((done, total))
        if done == 1:
            raise KeyboardInterrupt

    painter = Painter()
    with pytest.raises(KeyboardInterrupt):
        fill_regions(picture(batch=3), mask_of((4, 4, 5, 5)), painter, step=step)
    assert calls == [(0, 3), (1, 3)]
    assert len(painter.seen) == 1


@pytest.mark.parametrize("method", METHODS)
def test_classical_fills_continue_a_ramp_in_float(method):
    ramp = torch.linspace(0.1, 0.9, 120)[None, None, :, None].expand(1, 80, 120, 3).contiguous()
    spoilt = ramp.clone()
    spoilt[:, 30:45, 50:70] = 1.0
    result, changed = fill_regions(
        spoilt, mask_of((30, 50, 15, 20), height=80, width=120), METHODS[method], grow=2
    )
    inside = changed[0] > 0
    assert (result[0][inside] - ramp[0][inside]).abs().max() < 0.1
    # finer than bytes
    levels = result[0, 32:43, 52:68, 0] * 255
    assert (levels - levels.round()).abs().max() > 0.1


def test_a_fill_says_how_much_it_wants_to_see():
    image, mask = picture(1, 600, 700), mask_of((300, 300, 60, 60), height=600, width=700)
    painter = Painter()
    painter.context = (3.0, 20)
    fill_regions(image, mask, painter)
    fill_regions(image, mask, painter, context_factor=1.0, context_pixels=100)
    assert [crop.shape[1:3] for crop, _ in painter.seen] == [
        (60 + 2 * 76,) * 2,
        (60 + 2 * 100,) * 2,
    ]
