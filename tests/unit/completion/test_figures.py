import numpy as np
import torch

from torchreid_occ.completion.figures import (
    activation_maps,
    draw_activations,
    draw_completions,
    draw_network_activations,
    draw_scores,
)
from torchreid_occ.models import build_model
from torchreid_occ.visualization.maps import RESPONSES


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


def test_activations_of_versions_are_drawn_on_one_scale():
    frames = [np.full((8, 4, 3), value, np.uint8) for value in (10, 20)]
    maps = torch.zeros(2, 3, 2, 1)
    maps[0, :, 0] = torch.tensor([[3.0], [0.0], [4.0]])  # of length 5
    maps[1, 0, 1] = 2.5
    figure = draw_activations({"original": (frames, maps), "completed": (frames, 2 * maps)})
    titles = [axis.get_ylabel() for axis in figure.axes[::2]]
    rows = ["original", "completed"]
    assert titles == [*rows, *(f"activation, {title}" for title in rows)]
    shown = [axis.images[0].get_array() for axis in figure.axes]
    np.testing.assert_array_equal(shown[1], frames[1])
    for number, values in ((4, (0.5, 0.0)), (5, (0.0, 0.25)), (6, (1.0, 0.0)), (7, (0.0, 0.5))):
        for half, value in zip((shown[number][:4], shown[number][4:]), values, strict=True):
            expected = np.broadcast_to(RESPONSES(value)[:3], half.shape)
            np.testing.assert_allclose(half, expected)


def test_maps_are_those_of_the_last_stage():
    torch.manual_seed(0)
    model = build_model("vrstc", 3, backbone="resnet18_x0_5").eval()
    clip = torch.rand(1, 3, 3, 32, 16)
    maps = activation_maps(model, clip)
    assert maps.shape == (3, 256, 2, 1)
    torch.testing.assert_close(maps.mean((0, 2, 3)), model(clip)[0])
    frames = [np.zeros((32, 16, 3), np.uint8)] * 3
    (figure,) = draw_network_activations(model, clip, frames).values()
    assert len(figure.axes) == 6
