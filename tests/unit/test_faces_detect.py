import cv2
import numpy as np
import pytest
import torch

from cleanplate.faces import mtcnn_cascade
from cleanplate.faces.detect import detect_faces
from cleanplate.faces.mtcnn_landmarks import settle
from cleanplate.faces.mtcnn_pyramid import bands, crops, pyramid, search_scales, tones
from cleanplate.faces.searching import quarters, turned_back
from cleanplate.faces.suppress import suppress
from cleanplate.geometry import Size

# Where plain MTCNN sees them; counted from the centre of the first pixel.
EXPECTED = np.array(
    ((205.0, 101.7), (246.8, 103.7), (224.7, 129.0), (201.7, 139.2), (245.3, 141.9))
)
HEAD = (slice(None), slice(30, 210), slice(130, 320))
CPU = torch.device("cpu")


def test_one_face_on_the_astronaut(networks, astronaut):
    (faces,) = detect_faces(astronaut, networks)
    assert len(faces) == 1
    assert faces[0].score > 0.99
    assert np.linalg.norm(np.array(faces[0].landmarks) - 0.5 - EXPECTED, axis=1).max() < 3
    left, top, right, bottom = faces[0].box
    assert 170 < left < 195 and 50 < top < 75 and 255 < right < 280 and 165 < bottom < 185


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "brick"])
def test_no_face_where_there_is_none(networks, photo, name):
    assert detect_faces(photo(name), networks) == [()]


def test_a_batch_alpha_and_half_precision(networks, astronaut):
    head = astronaut[HEAD]
    alpha = torch.zeros_like(head[..., :1])
    images = torch.cat((torch.cat((head, alpha), dim=3), torch.zeros(1, 180, 190, 4)))
    found = detect_faces(images, networks)
    assert found == [*detect_faces(head, networks), ()]
    assert len(found[0]) == 1
    half = detect_faces(head.half(), networks)[0]
    assert np.allclose(half[0].landmarks, found[0][0].landmarks, atol=0.1)


def tilted(head, degrees, scale):
    """An image turned and scaled, and where its positions go."""
    pixels = head[0].numpy()
    height, width = pixels.shape[:2]
    turn = np.deg2rad(degrees)
    matrix = scale * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    size = np.ceil(np.abs(matrix) @ (width, height)).astype(int)
    shift = size / 2 - matrix @ (width / 2, height / 2)
    if scale < 1:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
    # OpenCV counts from the centre of the first pixel.
    centred = np.column_stack((matrix, shift + matrix @ (0.5, 0.5) - 0.5))
    out = cv2.warpAffine(
        pixels, centred, size.tolist(), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return torch.from_numpy(out.clip(0, 1))[None], matrix, shift


@pytest.mark.parametrize(("degrees", "scale"), [(30, 1.0), (-30, 1.0), (0, 0.5), (20, 2.0)])
def test_landmarks_follow_a_face_that_is_tilted_or_scaled(networks, astronaut, degrees, scale):
    head = astronaut[HEAD]
    upright = np.array(detect_faces(head, networks)[0][0].landmarks)
    image, matrix, shift = tilted(head, degrees, scale)
    (face,) = detect_faces(image, networks, most=1)[0]
    between = scale * np.linalg.norm(upright[0] - upright[1])
    errors = np.linalg.norm(np.array(face.landmarks) - (upright @ matrix.T + shift), axis=1)
    assert errors.max() < 0.02 * between


def test_turned_faces_are_found_only_when_asked(networks, astronaut):
    head = astronaut[HEAD]
    upright = np.array(detect_faces(head, networks)[0][0].landmarks)
    fallen = torch.rot90(head, 1, (1, 2))
    assert detect_faces(fallen, networks) == [()]
    (face,) = detect_faces(fallen, networks, rotations=(0, 270))[0]
    back = np.column_stack((190 - np.array(face.landmarks)[:, 1], np.array(face.landmarks)[:, 0]))
    assert np.abs(back - upright).max() < 0.8


def test_a_large_image_is_searched_small_and_landmarks_are_placed_in_it(networks, astronaut):
    head = astronaut[HEAD]
    upright = np.array(detect_faces(head, networks)[0][0].landmarks)
    large = head.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)
    (face,) = detect_faces(large, networks, max_side=190)[0]
    assert np.abs(np.array(face.landmarks) / 3 - upright).max() < 0.8


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (11, 11), (16, 16), (20, 20), (64, 64)])
def test_small_and_black_images_hold_no_face(networks, size):
    assert detect_faces(torch.zeros(1, *size, 3), networks) == [()]


def test_noise_holds_no_face_and_few_proposals_are_kept(networks, monkeypatch):
    monkeypatch.setattr(mtcnn_cascade, "_PROPOSED", 0.0)
    monkeypatch.setattr(mtcnn_cascade, "_MOST_OF_LEVEL", 50)
    seen = []
    monkeypatch.setattr(
        mtcnn_cascade, "crops", lambda levels, boxes, side: seen.append(len(boxes)) or iter(())
    )
    noise = torch.rand(1, 200, 200, 3, generator=torch.Generator().manual_seed(0))
    assert detect_faces(noise, networks) == [()]
    levels = len(search_scales(Size(200, 200), 20, 2048))
    assert 0 < seen[0] <= 50 * levels


def test_progress_counts_to_its_total_and_may_cancel(networks):
    steps = []
    detect_faces(
        torch.zeros(2, 64, 64, 3),
        networks,
        rotations=(0, 90),
        step=lambda done, total: steps.append((done, total)),
    )
    total = steps[0][1]
    assert steps == [(done, total) for done in range(1, total + 1)]

    def cancel(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        detect_faces(torch.zeros(1, 64, 64, 3), networks, step=cancel)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 1.5}, "confidence is 1.5"),
        ({"least_face": 5}, "least_face is 5 pixels"),
        ({"least_face": float("nan")}, "least_face is nan"),
        ({"max_side": 3}, "max_side is 3"),
        ({"most": 0}, "most is 0"),
        ({"rotations": (45,)}, r"rotations is \[45\]"),
        ({"rotations": ()}, r"rotations is \[\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(networks, settings, message):
    with pytest.raises(ValueError, match=message):
        detect_faces(torch.zeros(1, 64, 64, 3), networks, **settings)


def test_nan_is_refused(networks):
    image = torch.zeros(1, 64, 64, 3)
    image[0, 3, 3, 1] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        detect_faces(image, networks)


def test_several_finds_of_a_face_settle_once(networks, astronaut):
    start = torch.from_numpy(EXPECTED).float() + 0.5
    found = torch.stack((start + 4, start - 4, start * 0 + 300.0))
    settled = settle(networks.output, astronaut[0], found, 0.9)
    assert len(settled.scores) == 1
    assert (settled.landmarks[0] - start).norm(dim=1).max() < 3


def test_suppress_keeps_the_likeliest_of_overlapping_boxes():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 4, 4.0]])
    scores = torch.tensor([0.8, 0.9, 0.7, 0.6])
    assert suppress(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert suppress(boxes, scores, 0.5, of_smaller=True).tolist() == [1, 2]
    assert suppress(boxes, scores, 0.9).tolist() == [1, 0, 2, 3]
    assert suppress(boxes[:0], scores[:0], 0.5).tolist() == []


@pytest.mark.parametrize("height", [12, 13, 31, 64, 65])
def test_a_level_in_bands_gives_what_it_gives_whole(networks, height):
    level = torch.rand(1, 3, height, 40, generator=torch.Generator().manual_seed(1))
    offsets, scores = networks.proposal(level)
    parts = [(first, networks.proposal(band)) for first, band in bands(level, 200)]
    assert parts[0][0] == 0
    assert torch.allclose(torch.cat([part[0] for _, part in parts], dim=2), offsets, atol=1e-5)
    assert torch.allclose(torch.cat([part[1] for _, part in parts], dim=1), scores, atol=1e-5)


@pytest.mark.parametrize("side", [30, 100, 390])
def test_a_crop_of_a_ramp_holds_its_positions(side):
    """At any size, on any level: its pixels are where half-integer centres say."""
    y, x = torch.meshgrid(torch.arange(400) + 0.5, torch.arange(500) + 0.5, indexing="ij")
    levels = pyramid(torch.stack((x, y, x), dim=2) / 500, 20, 2048, CPU)
    box = torch.tensor([[50.0, 5.0, 50.0 + side, 5.0 + side]])
    ((part, seen),) = crops(levels, box, 24)
    assert part == slice(0, 1)
    back = (seen[0] * 128 + 127.5) / 255 * 500
    expected = (torch.arange(24) + 0.5) * side / 24
    assert torch.allclose(back[0, 12, 1:-1], 50 + expected[1:-1], atol=0.05 + side / 800)
    assert torch.allclose(back[1, 1:-1, 12], 5 + expected[1:-1], atol=0.05 + side / 800)


def test_tones_are_those_the_networks_learnt_on():
    assert torch.allclose(
        tones(torch.tensor([[[0.0, 0.5, 2.0]]]))[:, 0, 0], torch.tensor([-127.5, 0.0, 127.5]) / 128
    )


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_positions_of_a_turned_image_are_turned_back(turn):
    image = torch.zeros(5, 8)
    image[1, 6] = 1
    row, column = (torch.rot90(image, turn) > 0).nonzero()[0].tolist()
    point = torch.tensor([[[column + 0.5, row + 0.5]]])
    assert turned_back(point, turn, Size(8, 5)).tolist() == [[[6.5, 1.5]]]


def test_rotations_are_quarters():
    assert quarters((0, 360, -90, 180)) == [0, 2, 3]
