import numpy as np
import torch

from torchreid_occ.completion.figures import draw_completions, draw_scores


def test_scores_are_drawn_over_time_and_flagged_in_the_frames():
    frames = [np.zeros((12, 6, 3), np.uint8)] * 4
    scores = np.full((4, 3), 0.95)
    scores[1, 2] = 0.5
    figure = draw_scores(frames, scores, 0.9)
    *pictures, plot = figure.axes
    assert [len(axis.patches) for axis in pictures] == [0, 1, 0, 0]
    series = {line.get_label(): line.get_ydata() for line in plot.lines}
    np.testing.assert_array_equal(series["lower"], scores[:, 2])
    assert "threshold 0.900" in series


def test_versions_of_frames_stand_side_by_side(tmp_path):
    columns = {"input": torch.zeros(2, 3, 8, 4), "mask": torch.ones(2, 1, 8, 4)}
    figure = draw_completions(columns)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["input", "mask"]
    assert [axis.images[0].get_array().shape for axis in figure.axes] == [(8, 4, 3), (8, 4)] * 2
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), 0.5)
    figure.savefig(tmp_path / "picture.png")
