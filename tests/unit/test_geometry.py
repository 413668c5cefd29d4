import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.geometry import Box, Size, context_box, margin, place_box, round_up


@pytest.mark.parametrize(
    ("box", "factor", "pixels", "expected"),
    [
        (Size(100, 100), 1.5, 0, 25),
        (Size(100, 100), 1.0, 0, 0),
        (Size(100, 100), 1.5, 32, 32),
        (Size(10, 300), 1.5, 0, 75),
        (Size(300, 10), 2.0, 64, 150),
        (Size(1, 1), 1.5, 0, 1),
    ],
)
def test_margin(box, factor, pixels, expected):
    assert margin(box, factor, pixels) == expected


@pytest.mark.parametrize(
    ("needed", "image", "size", "multiple", "inside", "expected"),
    [
        # in the middle, centred
        (Box(50, 40, 10, 20), Size(200, 100), Size(30, 40), 1, True, Box(40, 30, 30, 40)),
        # at the border: shifted inwards, or left to reach beyond
        (Box(0, 0, 10, 10), Size(200, 100), Size(30, 30), 1, True, Box(0, 0, 30, 30)),
        (Box(0, 0, 10, 10), Size(200, 100), Size(30, 30), 1, False, Box(-10, -10, 30, 30)),
        (Box(190, 90, 10, 10), Size(200, 100), Size(30, 30), 1, True, Box(170, 70, 30, 30)),
        # rounded up to a multiple, or down where the image ends
        (Box(50, 40, 10, 20), Size(200, 100), Size(30, 41), 8, True, Box(39, 26, 32, 48)),
        (Box(50, 40, 10, 20), Size(200, 100), Size(30, 99), 16, True, Box(39, 2, 32, 96)),
        # an image too small for any multiple that holds what is needed
        (Box(0, 1, 7, 3), Size(7, 5), Size(30, 30), 8, True, Box(0, 0, 7, 5)),
        # never less than needed
        (Box(20, 20, 60, 10), Size(200, 100), Size(8, 8), 1, True, Box(20, 20, 60, 10)),
    ],
)
def test_context_box(needed, image, size, multiple, inside, expected):
    box = context_box(needed, image, size=size, multiple=multiple, keep_inside=inside)
    assert box == expected


def test_the_middle_may_be_another_than_what_is_needed():
    needed, image, size = Box(50, 40, 10, 10), Size(200, 100), Size(40, 30)
    for centre, expected in (
        (Box(60, 45, 2, 2), Box(41, 31, 40, 30)),
        (Box(190, 45, 2, 2), Box(50, 31, 40, 30)),  # no farther than what is needed allows
        (Box(0, 0, 2, 2), Box(20, 20, 40, 30)),
    ):
        assert context_box(needed, image, size=size, centre=centre) == expected


@st.composite
def box_in_image(draw):
    image = Size(draw(st.integers(1, 300)), draw(st.integers(1, 300)))
    x, y = draw(st.integers(0, image.width - 1)), draw(st.integers(0, image.height - 1))
    return image, Box(
        x, y, draw(st.integers(1, image.width - x)), draw(st.integers(1, image.height - y))
    )


@given(box_in_image(), st.integers(1, 400), st.integers(1, 400), st.integers(1, 64), st.booleans())
def test_context_box_holds_what_is_needed(pair, width, height, multiple, inside):
    image, needed = pair
    box = context_box(
        needed, image, size=Size(width, height), multiple=multiple, keep_inside=inside
    )
    assert box.intersect(needed) == needed
    if inside:
        assert box.intersect(Box.of(image)) == box
    else:
        assert box.width % multiple == 0
        assert box.height % multiple == 0
    for length, limit in ((box.width, image.width), (box.height, image.height)):
        assert length % multiple == 0 or length == limit


@pytest.mark.parametrize(
    ("value", "multiple", "expected"), [(1, 8, 8), (8, 8, 8), (9, 8, 16), (7, 1, 7)]
)
def test_round_up(value, multiple, expected):
    assert round_up(value, multiple) == expected


WHOLE = Box(0, 0, 100, 80)


@pytest.mark.parametrize(
    ("size", "needed", "bounds", "centre", "expected"),
    [
        (Size(30, 20), Box(50, 40, 10, 10), WHOLE, None, Box(40, 35, 30, 20)),
        (Size(30, 20), Box(95, 0, 5, 5), WHOLE, None, Box(70, 0, 30, 20)),
        (Size(30, 20), Box(95, 0, 5, 5), None, None, Box(83, -7, 30, 20)),
        # too tall for the bounds: as much beyond the one end as the other
        (Size(30, 100), Box(10, 5, 5, 5), WHOLE, None, Box(0, -10, 30, 100)),
        # the middle counts as far as what is needed allows
        (Size(30, 20), Box(50, 40, 10, 10), WHOLE, Box(90, 0, 2, 2), Box(50, 30, 30, 20)),
        # bounds that are larger than the image, to the left and to the top
        (Size(40, 40), Box(-20, -9, 8, 8), Box(-24, -16, 124, 96), None, Box(-24, -16, 40, 40)),
    ],
)
def test_place_box(size, needed, bounds, centre, expected):
    assert place_box(size, needed, bounds, centre or needed) == expected


def test_a_box_moves():
    assert Box(1, 2, 3, 4).shift(10, -20) == Box(11, -18, 3, 4)
