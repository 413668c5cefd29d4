from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.upscale.windows import Window, plan_windows


def test_what_fits_is_one_window():
    assert plan_windows(512, 512, 32) == [Window(0, 512, 0, 512)]


def test_two_equal_windows_are_cut_in_the_middle():
    assert plan_windows(600, 512, 32) == [Window(0, 332, 0, 300), Window(268, 600, 300, 600)]


def test_a_tile_too_small_for_its_halo_is_refused():
    with pytest.raises(ValueError, match="tile is 64"):
        plan_windows(1000, 64, 32)


@settings(max_examples=1000)
@given(st.integers(1, 5000), st.integers(64, 1024), st.integers(0, 31))
def test_windows_cover_once_with_their_halo(length, tile, halo):
    windows = plan_windows(length, tile, halo)
    assert windows[0].keep_start == 0
    assert windows[-1].keep_stop == length
    assert len({w.stop - w.start for w in windows}) == 1
    for w in windows:
        assert 0 <= w.start <= w.keep_start < w.keep_stop <= w.stop <= length
        assert w.stop - w.start <= tile
        assert w.start == 0 or w.keep_start - w.start >= halo
        assert w.stop == length or w.stop - w.keep_stop >= halo
    assert all(a.keep_stop == b.keep_start for a, b in pairwise(windows))
