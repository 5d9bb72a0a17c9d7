from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from edgeguard.engine.spec import InputSpec, TileSpec
from edgeguard.engine.tiles import Candidates, Region, layout, merge

NETWORK = InputSpec(width=416, height=416)
WIDE = [Region(0, 0, 300, 100), Region(0, 0, 120, 100), Region(90, 0, 120, 100), Region(180, 0, 120, 100)]


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Candidates:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Candidates(table[:, :4], table[:, 4], table[:, 5].astype(np.int32))


def merged(*per_region: Candidates) -> list[list[float]]:
    c = merge(per_region, WIDE, 300, 100)
    return [
        [*box, score, label]
        for box, score, label in zip(c.xyxy.tolist(), c.score.round(3).tolist(), c.class_id.tolist())
    ]


def test_kitti_is_cut_into_three_tiles_and_the_whole() -> None:
    regions = layout(1242, 375, TileSpec(aspect=1.5), NETWORK)
    assert regions[0] == Region(0, 0, 1242, 375)
    assert [(r.x, r.width, r.height) for r in regions[1:]] == [
        (0, 478, 375),
        (382, 478, 375),
        (764, 478, 375),
    ]


def test_an_image_of_the_networks_shape_is_not_cut() -> None:
    assert layout(640, 480, TileSpec(aspect=1.5), NETWORK) == [Region(0, 0, 640, 480)]
    assert layout(1242, 375, None, NETWORK) == [Region(0, 0, 1242, 375)]


def test_a_tall_image_is_cut_across() -> None:
    regions = layout(100, 300, TileSpec(aspect=1.5, whole=False), NETWORK)
    assert len({r.y for r in regions}) == len(regions) > 1
    assert {r.x for r in regions} == {0}


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    aspect=st.floats(1.0, 4),
    overlap=st.floats(0, 0.5),
)
def test_tiles_cover_the_image_and_overlap_as_asked(
    width: int, height: int, aspect: float, overlap: float
) -> None:
    tiles = TileSpec(aspect=aspect, overlap=overlap, whole=False)
    regions = layout(width, height, tiles, NETWORK)
    assert len(regions) <= 8
    for before, after in zip(regions, regions[1:]):
        for start, size in (("x", "width"), ("y", "height")):
            shared = getattr(before, start) + getattr(before, size) - getattr(after, start)
            assert shared >= min(getattr(before, size), overlap * getattr(before, size) - 1)
    assert regions[0].x == regions[0].y == 0
    assert (regions[-1].x + regions[-1].width, regions[-1].y + regions[-1].height) == (width, height)


def test_a_piece_of_a_whole_object_goes() -> None:
    # Whole in the second tile, cut by the first one's right border at x = 120.
    assert merged(
        boxes(),
        boxes((100, 20, 120, 60, 0.9, 0)),
        boxes((101, 21, 150, 61, 0.6, 0)),
        boxes(),
    ) == [pytest.approx([101, 21, 150, 61, 0.6, 0])]


def test_a_piece_taken_for_another_class_goes_where_it_lines_up_with_the_whole() -> None:
    lorry, cab = (100, 20, 180, 60, 0.6, 1), (100, 25, 120, 60, 0.9, 0)
    assert len(merged(boxes(), boxes(cab), boxes(lorry), boxes())) == 1


def test_a_cut_object_of_another_class_before_a_larger_one_stays() -> None:
    lorry, child = (100, 20, 180, 90, 0.6, 1), (110, 70, 120, 88, 0.9, 0)
    assert len(merged(boxes(), boxes(child), boxes(lorry), boxes())) == 2


def test_two_pieces_from_both_sides_of_an_overlap_become_one() -> None:
    left, right = (20, 20, 120, 60, 0.7, 0), (90, 22, 190, 60, 0.8, 0)
    assert merged(boxes(), boxes(left), boxes(right), boxes()) == [pytest.approx([20, 20, 190, 60, 0.8, 0])]


def test_an_object_across_three_tiles_becomes_one() -> None:
    a, b, c = (20, 20, 120, 60, 0.7, 0), (90, 20, 210, 60, 0.8, 0), (180, 20, 280, 60, 0.6, 0)
    assert merged(boxes(), boxes(a), boxes(b), boxes(c)) == [pytest.approx([20, 20, 280, 60, 0.8, 0])]


def test_neighbours_that_end_at_borders_stay_two() -> None:
    # The second begins behind the first one's end: nothing is shared.
    left, right = (20, 20, 88, 60, 0.7, 0), (125, 22, 190, 60, 0.8, 0)
    assert len(merged(boxes(), boxes(left), boxes(right), boxes())) == 2


def test_an_object_that_only_one_tile_shows_stays_though_cut() -> None:
    assert len(merged(boxes(), boxes((100, 20, 120, 60, 0.9, 0)), boxes(), boxes())) == 1


def test_a_box_at_the_images_own_border_is_not_cut() -> None:
    # The whole image shows a larger car around it, but nothing cut it: suppression is to judge.
    whole, near = (0, 0, 100, 100, 0.5, 0), (0, 30, 40, 99, 0.9, 0)
    assert len(merged(boxes(whole), boxes(near), boxes(), boxes())) == 2


def test_nothing_found_is_nothing() -> None:
    c = merge([boxes()] * 4, WIDE, 300, 100)
    assert_allclose(c.xyxy.shape, (0, 4))


@given(st.data())
def test_merging_neither_invents_nor_depends_on_chance(data: st.DataObject) -> None:
    per_region = []
    for r in WIDE:
        rows = []
        for _ in range(data.draw(st.integers(0, 5))):
            x0 = data.draw(st.integers(r.x, r.x + r.width - 2))
            x1 = data.draw(st.integers(x0 + 1, r.x + r.width))
            y0 = data.draw(st.integers(0, 98))
            y1 = data.draw(st.integers(y0 + 1, 100))
            rows.append((x0, y0, x1, y1, data.draw(st.integers(1, 9)) / 10, data.draw(st.integers(0, 1))))
        per_region.append(boxes(*rows))
    once, twice = merge(per_region, WIDE, 300, 100), merge(per_region, WIDE, 300, 100)
    assert np.array_equal(once.xyxy, twice.xyxy)
    total = sum(len(c.score) for c in per_region)
    assert min(total, 1) <= len(once.score) <= total
    assert np.all(once.xyxy[:, 2:] > once.xyxy[:, :2])
