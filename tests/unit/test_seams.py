import torch

from cleanplate.fill.grid import Grid
from cleanplate.fill.seams import hide_seams
from cleanplate.fill.voting import copied

SIDE, EDGE = 96, 48
HOLE = torch.zeros(SIDE, SIDE, dtype=torch.bool)
HOLE[32:64, 32:64] = True


def spread_of(down, aside):
    """Offsets as a fill gives them, from where each pixel of the hole goes."""
    return (down * Grid.of(HOLE).stride + aside)[HOLE]


def test_copies_that_meet_along_an_edge_do_not_colour_each_other():
    columns = torch.arange(SIDE).expand(SIDE, SIDE)
    # dark and light with a pixel between them, as an edge is that lies across pixels
    picture = torch.where(columns < EDGE, 0.2, 0.7)
    picture = torch.where(columns == EDGE, 0.5, picture)[..., None].expand(-1, -1, 3)
    # the flat sides come from flat places, the pixel between from the edge above the hole
    down = torch.where(columns == EDGE, -32, 0)
    aside = torch.where(columns < EDGE, -24, 24).masked_fill(columns == EDGE, 0)
    offsets = spread_of(down, aside)
    fill = copied(picture, HOLE, offsets)
    assert torch.equal(fill, picture)
    assert (hide_seams(fill, HOLE, offsets, 5e-4) - picture).abs().max() < 0.05


def test_copies_of_a_slope_meet_without_a_step():
    slope = torch.linspace(0.2, 0.8, SIDE)[None, :, None].expand(SIDE, -1, 3)
    aside = torch.where(torch.arange(SIDE) < EDGE, -24, 24).expand(SIDE, SIDE)
    offsets = spread_of(torch.zeros_like(aside), aside)
    fill = copied(slope, HOLE, offsets)
    assert (fill - slope).abs().max() > 0.1
    assert (hide_seams(fill, HOLE, offsets, 0.0) - slope).abs().max() < 0.005


def test_where_many_copies_meet_nothing_leaves_the_range_of_what_is_known():
    generator = torch.Generator().manual_seed(2)
    picture = torch.rand(SIDE, SIDE, 3, generator=generator) * 0.5 + 2
    down = torch.randint(-1, 2, (SIDE, SIDE), generator=generator) * 32
    down[down == 0] = 32
    offsets = spread_of(down, torch.zeros_like(down))
    fill = copied(picture, HOLE, offsets)
    result = hide_seams(fill, HOLE, offsets, 5e-4)
    assert not torch.equal(result, fill)
    assert (result >= picture[~HOLE].amin(0)).all()
    assert (result <= picture[~HOLE].amax(0)).all()
