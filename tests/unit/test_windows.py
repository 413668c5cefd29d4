import random
from itertools import pairwise

import pytest

from cleanplate.upscale.windows import Window, least_tile, plan_windows


def test_what_fits_is_one_window():
    assert plan_windows(512, 512, 32) == [Window(0, 512, 0, 512)]
    assert plan_windows(500, 512, 300, align=32) == [Window(0, 500, 0, 500)]


def test_two_equal_windows_are_cut_in_the_middle():
    assert plan_windows(600, 512, 32) == [Window(0, 332, 0, 300), Window(268, 600, 300, 600)]


def test_aligned_windows_keep_the_blocks_of_the_whole_axis():
    # 700 = 21 blocks of 32 and a rest of 28, which each window has too.
    assert plan_windows(700, 512, 32, align=32) == [
        Window(0, 412, 0, 350),
        Window(288, 700, 350, 700),
    ]


def test_a_part_is_covered_with_its_surroundings():
    assert plan_windows(4096, 256, 16, keep=(1000, 1200)) == [Window(984, 1216, 1000, 1200)]
    assert plan_windows(4096, 128, 16, keep=(3996, 4096)) == [Window(3980, 4096, 3996, 4096)]


def test_a_tile_too_small_for_its_halo_is_refused():
    with pytest.raises(ValueError, match="tile is 64 but two halos of 32"):
        plan_windows(1000, 64, 32)


def check(length, tile, halo, align, keep):
    first, last = keep or (0, length)
    windows = plan_windows(length, tile, halo, align, keep)
    assert windows[0].keep_start == first
    assert windows[-1].keep_stop == last
    assert len({w.length for w in windows}) == 1
    for w in windows:
        assert 0 <= w.start <= w.keep_start < w.keep_stop <= w.stop <= length
        assert w.length <= tile
        assert w.start % align == 0
        assert w.start == 0 or w.keep_start - w.start >= halo
        assert w.stop == length or w.stop - w.keep_stop >= halo
    assert all(a.keep_stop == b.keep_start for a, b in pairwise(windows))
    if len(windows) > 2:
        kept = [w.keep_stop - w.keep_start for w in windows[1:-1]]
        assert min(kept) >= windows[0].length / 2 - halo - align
    return len(windows)


@pytest.mark.parametrize("align", [1, 2, 8, 16, 32, 64])
def test_windows_cover_once_with_their_halo(align):
    draw = random.Random(align)
    tiled = 0
    for _ in range(6000):
        length, halo = draw.randint(1, 9000), draw.randint(0, 96)
        tile = draw.randint(least_tile(halo, align), 1100)
        keep = None
        if draw.random() < 0.3:
            first = draw.randrange(length)
            keep = first, draw.randint(first + 1, length)
        tiled += check(length, tile, halo, align, keep) > 1
    assert tiled > 3000
