import numpy as np
import pytest
import torch
from small_backbone import SMALL_BACKBONE

from torchreid_occ.models import build_model
from torchreid_occ.visualization import draw_rru_stim, draw_trl_st2n

SIZE = {"height": 64, "width": 32}


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (64, 32, 3), dtype=np.uint8) for _ in range(3)]


def clip_of(frames):
    return torch.tensor(np.stack(frames)).permute(0, 3, 1, 2)[None] / 127.5 - 1


def images(figure):
    rows = [axis.images[0].get_array() for axis in figure.axes]
    return [np.stack(rows[start : start + 3]) for start in range(0, len(rows), 3)]


def rru_stim(**options):
    torch.manual_seed(0)
    return build_model(
        "rru_stim", 3, backbone=SMALL_BACKBONE, auxiliary="none", **SIZE, **options
    ).eval()


def trl_st2n(**options):
    torch.manual_seed(0)
    return build_model("trl_st2n", 3, backbone=SMALL_BACKBONE, hidden=8, **SIZE, **options).eval()


def test_refinement_leaves_the_first_frame_as_it_is(frames):
    model = rru_stim()
    (figure,) = draw_rru_stim(model, clip_of(frames), frames).values()
    shown, raw, refined = images(figure)
    assert np.array_equal(shown, np.stack(frames))
    np.testing.assert_allclose(refined[0], raw[0], atol=1e-6)
    assert np.abs(refined[1:] - raw[1:]).max() > 0.01
    assert draw_rru_stim(rru_stim(rru=False), clip_of(frames), frames) == {}


def test_alignment_draws_frames_warped_by_theta(frames):
    model = trl_st2n()
    (figure,) = draw_trl_st2n(model, clip_of(frames), frames).values()
    shown, maps, aligned, aligned_maps = images(figure)
    np.testing.assert_allclose(aligned, shown / 255, atol=1e-4)  # it starts as the identity
    np.testing.assert_allclose(aligned_maps, maps, atol=1e-2)
    with torch.no_grad():
        model.alignment.theta.bias.copy_(torch.tensor([-1.0, 1.0, 0.0, 0.0]))
    (figure,) = draw_trl_st2n(model, clip_of(frames), frames).values()
    np.testing.assert_allclose(images(figure)[2], shown[:, :, ::-1] / 255, atol=1e-4)
    assert draw_trl_st2n(trl_st2n(alignment="none"), clip_of(frames), frames) == {}
