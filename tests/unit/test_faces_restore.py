import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faces import face_at, identity, negative, texture

from cleanplate.faces.face import Face
from cleanplate.faces.paste import frame_weight
from cleanplate.faces.report import describe
from cleanplate.faces.restore import Settings, restore_faces
from cleanplate.faces.select import Selection

PLAIN = Settings(strength=1.0, colour="none", guard=False)
SIZES = [24, 60, 150, 390, 700, 1500]
"""Heights of faces in pixels; their frames are 1.6 times as large."""


def portrait(side, degrees=0.0, channels=3):
    """A picture with a face in the middle and some of what is around; a band of a large one."""
    width = round(side * 1.1) + 7
    height = min(width, 800)
    image = texture(height, width)
    if channels == 4:
        image = torch.cat((image, torch.rand(height, width, 1)), 2)
    return image[None], face_at(width / 2 + 0.2, height / 2 - 0.4, side, degrees)


def restored(image, faces, network, settings=PLAIN, **options):
    kept = image.clone()
    result = restore_faces(image, [faces] * len(image), network, settings, **options)
    assert torch.equal(image, kept)
    assert result.image.shape == image.shape
    assert result.image.dtype == image.dtype
    assert result.mask.shape == image.shape[:3]
    assert result.mask.min() >= 0
    assert result.mask.max() <= 1
    outside = result.mask == 0
    assert torch.equal(result.image[outside], image[outside])
    return result


@pytest.mark.parametrize("side", [round(1.6 * s) for s in SIZES])
@pytest.mark.parametrize("degrees", [0, 23])
def test_a_network_that_changes_nothing_changes_nothing(side, degrees):
    image, face = portrait(side, degrees)
    result = restored(image, [face], identity, Settings())
    assert torch.equal(result.image, image)
    assert result.mask.max() == 1


@pytest.mark.parametrize("side", [round(1.6 * s) for s in SIZES])
@pytest.mark.parametrize("degrees", [0, 23])
def test_a_negative_is_the_negative_of_every_pixel(side, degrees):
    """Also where the image is finer, or coarser, than what the network saw."""
    image, face = portrait(side, degrees)
    result = restored(image, [face], negative)
    full = result.mask == 1
    assert full.any()
    assert (result.image - (1 - image))[full].abs().max() < 0.25 / 255


@pytest.mark.parametrize(("height", "width"), [(16, 16), (300, 90), (511, 513)])
def test_small_images_keep_every_pixel_outside(height, width):
    image = texture(height, width)[None]
    face = face_at(width / 3, height / 2, min(height, width))
    result = restored(image, [face], negative, selection=Selection(eye_distance=2))
    assert (result.mask == 0).any() and (result.mask == 1).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_alpha_are_kept(dtype):
    image, face = portrait(200, 10, channels=4)
    image = image.to(dtype)
    assert torch.equal(restored(image, [face], identity).image, image)
    result = restored(image, [face], negative)
    assert torch.equal(result.image[..., 3], image[..., 3])
    full = result.mask == 1
    assert (result.image[full][:, :3] - (1 - image[full][:, :3])).abs().max() < 3 / 255


def test_strength_is_linear():
    image, face = portrait(300)
    half = restored(image, [face], negative, Settings(0.5, colour="none", guard=False))
    whole = restored(image, [face], negative)
    assert torch.allclose(half.image, (image + whole.image) / 2, atol=1e-5)
    none = restored(image, [face], negative, Settings(0.0, colour="none", guard=False))
    assert none.image is image
    assert none.faces[0].reason == "the strength is 0"


def smooth(crops, fidelity):
    """A network that takes all detail away."""
    planes = crops.movedim(-1, 1)
    for _ in range(3):
        planes = torch.nn.functional.avg_pool2d(planes, 15, 1, 7, count_include_pad=False)
    return planes.movedim(1, -1) - crops


@pytest.mark.parametrize("side", [300, 512, 1500])
def test_detail_that_the_network_takes_away_goes_at_every_size(side):
    """Grain finer than the frame shows would stay on top of the restored face otherwise."""
    image, face = portrait(side)
    result = restored(image, [face], smooth)
    rows = slice(image.shape[1] // 2 - side // 6, image.shape[1] // 2 + side // 6)

    def grain(picture):
        part = picture[0, rows, rows]
        return (part[1:] - part[:-1]).abs().mean()

    assert grain(result.image) < 0.15 * grain(image)


def brighter(crops, fidelity):
    return torch.full_like(crops, 0.1)


def test_detail_that_the_network_keeps_stays():
    image, face = portrait(1300)
    result = restored(image * 0.8, [face], brighter)
    full = result.mask == 1
    assert (result.image - image * 0.8 - 0.1)[full].abs().max() < 1e-4


@pytest.mark.parametrize("mode", ["gain and offset", "smooth field"])
def test_a_cast_is_taken_back(mode):
    image, face = portrait(512)

    def cast(crops, fidelity):
        return crops * torch.tensor([0.1, -0.1, 0.0]) + torch.tensor([0.0, 0.04, -0.05])

    before = restored(image, [face], cast).image - image
    after = restored(image, [face], cast, Settings(1.0, colour=mode, guard=False)).image - image
    assert after.abs().mean() < 0.1 * before.abs().mean()


def test_a_mask_narrows_what_changes():
    image, face = portrait(300)
    mask = torch.zeros(image.shape[1:3])
    mask[:, 200:] = 1
    mask[:, 190:200] = 0.6
    result = restored(image, [face], negative, mask=mask)
    assert (result.mask[0] <= mask).all()
    assert torch.equal(result.image[:, :, :190], image[:, :, :190])
    middle = (result.image - image)[0, 195, 190:200] / (1 - 2 * image[0, 195, 190:200])
    assert torch.allclose(middle, torch.tensor(0.6), atol=0.05)


def test_faces_that_overlap_share():
    image = texture(300, 420)[None]
    faces = [face_at(150, 150, 240), face_at(270, 150, 240, 15)]
    assert torch.equal(restored(image, faces, identity).image, image)
    result = restored(image, faces, negative)
    ratio = result.mask[0, 90:210, 70:330]
    assert ratio.min() > 0.99
    assert (result.image - (1 - image))[result.mask > 0.9999].abs().max() < 1.5 / 255


def test_a_face_half_outside():
    image = texture(200, 200)[None]
    result = restored(image, [face_at(0, 100, 160), face_at(199, 199, 100)], negative)
    assert result.mask[0, 100, 0] == 1
    assert (result.image - (1 - image))[result.mask == 1].abs().max() < 1 / 255


def test_the_whole_image_is_the_face():
    for height, width in [(512, 512), (700, 640), (100, 90)]:
        image = texture(height, width)[None]
        assert torch.equal(restore_faces(image, None, identity, PLAIN).image, image)
        result = restore_faces(image, None, negative, PLAIN)
        assert (result.mask == 1).all()
        assert (result.image - (1 - image)).abs().max() < 1 / 255
        assert result.before[0].shape == (512, 512, 3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 900), (700, 3)])
def test_a_whole_image_of_any_shape(height, width):
    image = texture(height, width)[None]
    assert torch.equal(restore_faces(image, None, identity, PLAIN).image, image)
    result = restore_faces(image, None, brighter, PLAIN)
    assert (result.image - (image + 0.1).clamp(max=1)).abs().max() < 1e-4


@settings(max_examples=15, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 90)),
    faces=st.lists(
        st.tuples(
            st.floats(-60, 150), st.floats(-60, 150), st.floats(4, 300), st.floats(-180, 180)
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_faces_anywhere(size, faces):
    """Beside the image, half outside, larger than it, on top of each other."""
    image = texture(*size)[None]
    found = [face_at(*face) for face in faces]
    choice = Selection(eye_distance=0)
    assert torch.equal(restored(image, found, identity, selection=choice).image, image)
    result = restored(image, found, negative, selection=choice)
    assert result.image.isfinite().all()
    wanted = image + result.mask[..., None] * (1 - 2 * image)
    assert (result.image - wanted).abs().max() < 2 / 255


def test_no_face_is_no_error():
    image = texture(40, 50)[None].expand(2, -1, -1, -1)
    result = restore_faces(image, [[], []], negative)
    assert result.image is image
    assert not result.mask.any()
    assert result.before == result.after == result.faces == ()
    assert describe(result.faces, 2, 0.8, " at confidence 0.95") == (
        "Image 1: no face found at confidence 0.95; it stays as it is.\n"
        "Image 2: no face found at confidence 0.95; it stays as it is."
    )


def test_an_empty_image_in_a_batch():
    image = texture(120, 100)[None].repeat(3, 1, 1, 1)
    face = face_at(50, 60, 80)
    result = restore_faces(image, [[face], [], [face, face_at(300, 60, 80)]], negative, PLAIN)
    assert torch.equal(result.image[1], image[1])
    assert torch.equal(result.image[0], result.image[2])
    assert [(r.image, r.number, r.restored) for r in result.faces] == [
        (0, 0, True),
        (2, 0, True),
        (2, 1, False),
    ]
    text = describe(result.faces, 3, 1.0)
    assert "Image 2: no face found; it stays as it is." in text
    assert "Image 3: 2 faces found, 1 restored." in text
    assert "kept, it lies outside the image." in text


def test_a_face_of_nan_stays_and_the_others_do_not():
    image = texture(120, 300)[None]

    def broken(crops, fidelity):
        change = negative(crops, fidelity)
        change[0, 5, 5, 1] = torch.nan
        return change

    faces = [face_at(60, 60, 80), face_at(200, 60, 80)]
    result = restored(image, faces, broken, together=2)
    assert "NaN" in result.faces[0].reason
    assert torch.equal(result.image[:, :, :120], image[:, :, :120])
    assert result.faces[1].restored
    assert torch.equal(result.after[0], result.before[0])


def test_memory_that_runs_out_halves_the_batch():
    seen = []

    def small(crops, fidelity):
        seen.append(len(crops))
        if len(crops) > 1:
            raise torch.OutOfMemoryError
        return negative(crops, fidelity)

    image = texture(100, 500)[None]
    faces = [face_at(50 + 100 * i, 50, 60) for i in range(5)]
    result = restored(image, faces, small, together=4)
    assert seen == [4, 2, 1, 1, 1, 1, 1]
    assert torch.equal(result.image, restored(image, faces, negative).image)

    def never(crops, fidelity):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        restored(image, faces, never, together=4)


def test_fifty_faces():
    image = texture(500, 1000)[None]
    faces = [face_at(50 + 100 * (i % 10), 50 + 100 * (i // 10), 64) for i in range(50)]
    calls = []
    result = restored(
        image, faces, identity, together=8, step=lambda done, total: calls.append((done, total))
    )
    assert torch.equal(result.image, image)
    assert len(result.before) == 50
    assert calls[0] == (0, 50) and calls[-1] == (50, 50) and len(calls) == 8
    few = restored(image, faces, identity, selection=Selection(most=3))
    assert sum(r.restored for r in few.faces) == 3


def test_a_step_that_raises_stops_between_faces():
    class Stop(BaseException):
        pass

    seen = []

    def step(done, total):
        if done == 1:
            raise Stop

    def network(crops, fidelity):
        seen.append(1)
        return identity(crops, fidelity)

    image = texture(100, 300)[None]
    with pytest.raises(Stop):
        restored(image, [face_at(60, 50, 60), face_at(200, 50, 60)], network, step=step)
    assert seen == [1]


def test_crops_are_before_and_after():
    image, face = portrait(300)
    result = restored(image, [face], brighter, Settings(0.5, colour="none", guard=False))
    wanted = (result.before[0] + 0.05).clamp(0, 1)
    assert torch.allclose(result.after[0], wanted, atol=1e-6)


def test_the_guard_lowers_a_coarse_change():
    image, face = portrait(300)

    def much(crops, fidelity):
        return torch.full_like(crops, 0.2)

    result = restored(image * 0.7, [face], much, Settings(1.0, colour="none"))
    (report,) = result.faces
    assert report.drift.low_pass == pytest.approx(0.0784, abs=0.001)
    assert report.strength == pytest.approx(0.392, abs=0.002)
    assert "lowered from 1.00 to stay itself" in describe(result.faces, 1, 1.0)
    unguarded = restored(image * 0.7, [face], much, PLAIN)
    assert unguarded.faces[0].strength == 1
    assert unguarded.faces[0].drift.low_pass == pytest.approx(0.2, abs=0.001)


def test_the_guard_looks_where_the_landmarks_went():
    """A detector that follows a bright mark, which the network moves by a fifth of the eyes."""
    image, face = portrait(512)
    ideal = ((193.5, 240.5), (319.5, 240.5), (256.5, 314.5), (201.5, 371.5), (313.5, 371.5))

    def moved(crops, fidelity):
        return torch.full_like(crops, 0.01)

    def find(crop):
        way = float((crop - first).mean()) / 0.01 * 0.2 * 126
        return tuple((x + way, y) for x, y in ideal)

    first = restored(image, [face], identity).before[0]
    result = restored(image, [face], moved, Settings(1.0, colour="none"), find=find)
    (report,) = result.faces
    assert 0.4 < report.strength < 0.5
    assert report.drift.landmarks <= 0.1

    def lost(crop):
        return ideal if torch.equal(crop, first) else None

    gone = restored(image, [face], moved, Settings(1.0, colour="none"), find=lost)
    assert gone.image is image
    assert gone.faces[0].reason == "it would drift too far from what it was"
    assert "no face is found in it any more" in describe(gone.faces, 1, 1.0)


@pytest.mark.parametrize(
    ("image", "faces", "words"),
    [
        (torch.rand(1, 20, 20, 1), [[]], "3 or 4"),
        (torch.full((1, 20, 20, 3), torch.nan), [[]], "NaN"),
        (torch.rand(2, 20, 20, 3), [[]], "1 images, but image holds 2"),
    ],
)
def test_bad_input(image, faces, words):
    with pytest.raises(ValueError, match=words):
        restore_faces(image, faces, identity)


@pytest.mark.parametrize(
    "settings", [{"strength": 1.1}, {"fidelity": -0.1}, {"colour": "histogram"}]
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValueError, match="choose"):
        Settings(**settings)


def test_the_weight_is_whole_in_the_middle_and_nothing_at_the_rim():
    counts = frame_weight()
    assert (counts[64:448, 64:448] == 1).all()
    assert not counts[:20].any() and not counts[:, -20:].any()
    assert torch.equal(counts, counts.flip(0)) and torch.equal(counts, counts.T)


def test_a_face_without_landmarks_is_kept():
    image = texture(60, 60)[None]
    result = restored(image, [Face((10, 10, 40, 40), 1.0)], negative)
    assert result.image is image
    assert result.faces[0].reason == "no landmarks were found in its box"
