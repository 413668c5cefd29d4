"""Exact masks from boxes: the socket, and Segment Anything on a network of a few numbers."""

import pytest
import torch
from standins.sam import GRID, OUT, weights

from cleanplate.defects.defect import Defect
from cleanplate.defects.sam import Sam
from cleanplate.defects.segment import exact_masks, load_sam, sam_segmenter
from cleanplate.geometry import Box


def picture(height=64, width=64):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = (torch.sin(x / 5.0), torch.cos(y / 7.0), torch.sin((x + y) / 9.0))
    return 0.5 + 0.5 * torch.stack(waves, dim=-1)


# From segment_anything 1.0 with the same weights, picture and boxes.
KNOWN = (-0.094508, 0.223273, 0.103879, 0.119854, 0.257046, 0.253942, -1.675073, -1.662331)
BOXES = torch.tensor([[4.0, 8, 40, 60], [20.5, 3, 33, 18.25]])


def test_answers_are_those_of_the_published_implementation():
    model = Sam(weights())
    assert model.side == 64
    features = model.encode(picture().movedim(-1, 0)[None])
    logits, quality = model.masks(features, BOXES)
    assert features.shape == (1, OUT, GRID, GRID)
    assert logits.shape == (2, 16, 16)
    assert quality.shape == (2,)
    some = [features[0, 3, 1, 2], features[0, 9, 3, 0]]
    seen = [*some, *logits[:, 5, 9], *logits[:, 12, 2], *quality]
    assert [float(value) for value in seen] == pytest.approx(KNOWN, abs=1e-5)


def test_a_checkpoint_is_read_whatever_its_precision(tmp_path):
    path = tmp_path / "sam_tiny.pth"
    torch.save({name: value.half() for name, value in weights().items()}, path)
    model = load_sam(path)
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    (mask,) = sam_segmenter(model)(picture(40, 100), [Box(10, 10, 50, 20)])
    assert (mask.shape, mask.dtype) == ((40, 100), torch.bool)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_decoder.iou_token.weight": None}, "of an unknown size .width 16. or not complete"),
        ({"image_encoder.neck.0.weight": (8, 16, 1, 1)}, "of an unknown size"),
        ({"image_encoder.blocks.1.attn.qkv.weight": (48, 20)}, "of an unknown size"),
        ({"image_encoder.blocks.1.attn.rel_pos_h": (0, 8)}, "of an unknown size"),
        ({"image_encoder.pos_embed": None}, "is no checkpoint of Segment Anything .it holds"),
        ({"sam_mask_decoder.x": (1,)}, "is a SAM 2 checkpoint, which is not read"),
        ({"mask_decoder.hf_token.weight": (1, 16)}, "is a HQ-SAM checkpoint"),
        ({"image_encoder.patch_embed.seq.0.c.weight": (1,)}, "is a MobileSAM checkpoint"),
    ],
)
def test_other_checkpoints_are_refused_with_what_they_are(tmp_path, change, message):
    tensors = weights()
    for name, shape in change.items():
        tensors.pop(name, None)
        if shape:
            tensors[name] = torch.zeros(shape)
    path = tmp_path / "odd.pth"
    torch.save(tensors, path)
    with pytest.raises(ValueError, match=rf"odd\.pth .*{message}") as caught:
        load_sam(path)
    assert "use sam_vit_b_01ec64.pth" in str(caught.value)


class Boxes:
    """Stands for the network: its masks are the boxes that it is given."""

    side = 256

    def __init__(self):
        self.image_encoder = self
        self.pos_embed = torch.zeros(1)

    def encode(self, image):
        self.seen = image
        return image

    def masks(self, features, boxes):
        # Logits for each 4th pixel, falling off with the distance to the edge.
        places = torch.arange(64) * 4 + 2.0
        left, top, right, bottom = boxes.unbind(1)
        across = torch.minimum(places - left[:, None], right[:, None] - places)
        down = torch.minimum(places - top[:, None], bottom[:, None] - places)
        return torch.minimum(across[:, None, :], down[:, :, None]), None


@pytest.mark.parametrize("size", [(256, 256), (300, 500), (500, 200), (64, 100), (101, 31)])
def test_boxes_and_masks_find_their_way_through_the_input(size):
    height, width = size
    box = Box(width // 4, height // 5, width // 2, height // 2)
    network = Boxes()
    (mask,) = sam_segmenter(network)(torch.ones(height, width, 3), [box])
    wanted = torch.zeros(height, width)
    wanted[box.rows, box.columns] = 1
    both = (mask * wanted).sum() / torch.maximum(mask.float(), wanted).sum()
    assert both > 0.9
    # White is (1 - mean) / std; beyond the picture is nothing.
    scale = 256 / max(size)
    rows, columns = int(height * scale + 0.5), int(width * scale + 0.5)
    assert network.seen[0, 0, :rows, :columns] == pytest.approx((255 - 123.675) / 58.395)
    assert network.seen.count_nonzero() == 3 * rows * columns


def test_many_boxes_are_shown_in_parts_and_none_costs_nothing():
    network = Boxes()
    boxes = [Box(4 * i, 10, 40, 40) for i in range(40)]
    found = list(sam_segmenter(network)(torch.ones(256, 256, 3), boxes))
    assert [int(mask.any(0).nonzero()[0]) for mask in found] == pytest.approx(
        [4 * i for i in range(40)], abs=2
    )
    network = Boxes()
    assert list(sam_segmenter(network)(torch.ones(256, 256, 3), [])) == []
    assert not hasattr(network, "seen")


def defect(box=None, mask=None):
    return Defect("hand", 0.8, 0.4, "yolo", "a hand", box, mask)


def segment_of(*masks):
    return lambda image, boxes: iter(masks)


def round_mask(x, y, radius, size=(100, 160)):
    rows, columns = torch.arange(size[0])[:, None] - y, torch.arange(size[1])[None] - x
    return rows**2 + columns**2 <= radius**2


IMAGE = torch.zeros(100, 160, 3)


def test_only_boxes_get_a_mask_and_each_its_own():
    painted = torch.ones(10, 10)
    given = [
        defect(),
        defect(Box(20, 20, 41, 41)),
        defect(Box(5, 5, 10, 10), painted),
        defect(Box(100, 30, 31, 31)),
    ]
    asked = []

    def segment(image, boxes):
        asked.extend(boxes)
        return [round_mask(40, 40, 20), round_mask(115, 45, 15)]

    out = exact_masks(IMAGE, given, segment)
    assert asked == [Box(20, 20, 41, 41), Box(100, 30, 31, 31)]
    assert out[0] is given[0]
    assert out[2] is given[2]
    for number, (x, y, radius) in ((1, (40, 40, 20)), (3, (115, 45, 15))):
        found = out[number]
        assert found.box == Box(x - radius, y - radius, 2 * radius + 1, 2 * radius + 1)
        wanted = round_mask(x, y, radius)[found.box.rows, found.box.columns]
        assert torch.equal(found.mask, wanted.float())
        assert (found.kind, found.score, found.severity) == ("hand", 0.8, 0.4)


def test_a_mask_stays_near_its_box_and_one_that_misses_it_is_not_used():
    box = Box(20, 20, 40, 40)
    (found,) = exact_masks(IMAGE, [defect(box)], segment_of(torch.ones(100, 160).bool()))
    assert found.box == Box(16, 16, 48, 48)
    (found,) = exact_masks(IMAGE, [defect(box)], segment_of(round_mask(40, 40, 3)))
    assert (found.box, found.mask) == (box, None)
    (found,) = exact_masks(IMAGE, [defect(box)], segment_of(torch.zeros(100, 160).bool()))
    assert (found.box, found.mask) == (box, None)


def test_masks_that_do_not_belong_to_the_boxes_are_refused():
    given = [defect(Box(20, 20, 40, 40))] * 2
    with pytest.raises(ValueError, match="1 masks came for 2 boxes"):
        exact_masks(IMAGE, given, segment_of(round_mask(40, 40, 20)))
    with pytest.raises(ValueError, match=r"shape \[160, 100\] but the image is 160x100"):
        exact_masks(IMAGE, given, segment_of(round_mask(40, 40, 20).T))
