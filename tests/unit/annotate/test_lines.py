import numpy as np
import pytest

from torchreid_occ.annotate.lines import EYES, HIPS, KNEES, SHOULDERS, four_lines

SIZE = (200, 100)
EXPECTED = [0.3, 0.55, 0.75, 0.5]


@pytest.fixture
def points():
    """A person whose left side is 2 pixels lower and 10 to the right of its right one."""
    points = np.full((17, 2), 7.0)
    for pair, row in ((EYES, 39), (SHOULDERS, 59), (HIPS, 109), (KNEES, 149)):
        points[list(pair)] = [[55, row + 2], [45, row]]
    return points


def lines(points, *hidden):
    visible = np.ones(17, bool)
    visible[list(hidden)] = False
    return four_lines(points, visible, SIZE)


def test_rows_and_column_are_means_of_pairs(points):
    found = lines(points)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-6)


def test_one_of_a_pair_is_enough(points):
    found = lines(points, SHOULDERS[0], KNEES[1])
    np.testing.assert_allclose(found, [59 / 200, 0.55, 151 / 200, 0.55], rtol=1e-6)


def test_the_column_comes_from_knees_else_hips_else_shoulders(points):
    points[list(HIPS), 0] += 8
    points[list(SHOULDERS), 0] += 16
    assert lines(points)[3] == np.float32(0.5)
    assert lines(points, *KNEES)[3] == np.float32(0.58)
    assert lines(points, *KNEES, *HIPS)[3] == np.float32(0.66)
    found = lines(points, *KNEES, *HIPS, *SHOULDERS)
    assert np.isnan(found).all()


def test_a_hidden_row_within_the_frame_is_not_known(points):
    np.testing.assert_array_equal(np.isnan(lines(points, *KNEES)), [False, False, True, False])
    np.testing.assert_array_equal(np.isnan(lines(points, *HIPS)), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(lines(points, *SHOULDERS)), [True, False, False, False])


def test_rows_below_the_frame_are_its_border(points):
    # From the shoulders at 0.3 to the hips at 0.75: the knees would be at 1.13.
    points[list(HIPS), 1] += 40
    np.testing.assert_allclose(lines(points, *KNEES)[:3], [0.3, 0.75, 1.0], rtol=1e-6)
    # From the eyes at 0.2 to the shoulders at 0.55: hips would be at 1.4.
    points[list(SHOULDERS), 1] += 50
    found = lines(points, *HIPS, *KNEES)
    np.testing.assert_allclose(found, [0.55, 1.0, 1.0, 0.5], rtol=1e-6)
    points[list(KNEES), 1] = 230
    assert lines(points)[2] == 1


def test_the_knees_are_where_the_body_has_them(points):
    # 0.245 / 0.288 of the way from shoulders to hips once more, on either side of the border.
    for hips, expected in ((0.92, 1.0), (0.91, 1.0), (0.66, np.nan)):
        points[list(HIPS), 1] = 200 * hips
        points[list(SHOULDERS), 1] = 60
        np.testing.assert_equal(lines(points, *KNEES)[2], np.float32(expected))
    points[list(SHOULDERS), 1] = 200 * (0.8 - 0.2 * 0.288 / 0.245)
    points[list(HIPS), 1] = 160.1
    assert lines(points, *KNEES)[2] == 1
    points[list(HIPS), 1] = 159.9
    assert np.isnan(lines(points, *KNEES)[2])
