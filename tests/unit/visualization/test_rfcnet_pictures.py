from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from small_backbone import SMALL_BACKBONE
from support import write_two_cameras

from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.utils.checkpoint import save_checkpoint
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.visualization import draw_rfcnet
from torchreid_occ.visualization.pictures import draw_pictures, frames_of_tracklet

SIZE = {"height": 64, "width": 32}
PICTURES = ("partition", "foreground", "assignment", "temporal")


def draw(frames=3, **options):
    torch.manual_seed(0)
    model = build_model("rfcnet", 3, backbone=SMALL_BACKBONE, **SIZE, **options)
    shown = [np.full((64, 32, 3), 60 * i, np.uint8) for i in range(frames)]
    return draw_rfcnet(model, torch.rand(1, frames, 3, 64, 32), shown)


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_each_block_gives_its_pictures():
    figures = draw()
    assert list(figures) == [f"stage{stage}_{name}" for stage in (2, 3) for name in PICTURES]
    for name in PICTURES:
        drawn = pixels(figures[f"stage3_{name}"])
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"arrangement": "S"}, PICTURES[:3]),
        ({"arrangement": "T", "foreground": False}, ("partition", "temporal")),
        ({"arrangement": "foreground"}, ("foreground",)),
        ({"partition": "stn"}, PICTURES),
    ],
)
def test_a_variant_has_pictures_of_its_parts_only(options, names):
    assert list(draw(stages=[3], **options)) == [f"stage3_{name}" for name in names]


def test_one_frame_has_no_temporal_picture():
    assert "stage3_temporal" not in draw(frames=1, stages=[3])


def test_a_matrix_shows_its_numbers():
    figure = draw(stages=[3])["stage3_assignment"]
    texts = [text.get_text() for text in figure.axes[1].texts]
    columns = np.array(texts, dtype=float).reshape(6, 3).sum(0)
    # Columns of the encoding matrix sum to 100, up to the rounding of six numbers.
    np.testing.assert_allclose(columns, 100, atol=3)


@pytest.fixture
def checkpoint(tmp_path):
    config = load_config(
        None,
        ["model.options.backbone", SMALL_BACKBONE, "data.height", "64", "data.width", "32"],
    )
    model = build_model("rfcnet", 3, backbone=SMALL_BACKBONE, **SIZE)
    path = tmp_path / "model.pth"
    state = {"config": plain(config), "num_classes": 3, "state_dict": model.state_dict()}
    save_checkpoint(state, path)
    return path, model


def test_a_checkpoint_restores_its_model(checkpoint):
    path, model = checkpoint
    loaded, config, _ = load_trained_model(path)
    clip = torch.rand(1, 2, 3, 64, 32)
    lay_out_channels_last(model)
    assert torch.equal(loaded(clip), model.eval()(clip))
    assert config.model.options.backbone == SMALL_BACKBONE


def test_pictures_of_a_checkpoint_are_written(checkpoint, tmp_path):
    frames = [tmp_path / f"{i}.png" for i in range(2)]
    for frame in frames:
        Image.new("RGB", (40, 90), "red").save(frame)
    paths = draw_pictures(checkpoint[0], frames, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in paths
    )
    assert len(paths) == 8
    assert all(Image.open(path).size[0] > 100 for path in paths)


def test_pictures_that_cannot_be_drawn_are_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        draw_pictures(checkpoint[0], [], tmp_path)
    bare = tmp_path / "bare.pth"
    save_checkpoint({"state_dict": {}}, bare)
    with pytest.raises(ValueError, match=r"lacks \['config', 'num_classes'\]"):
        load_trained_model(bare)
    config = load_config(None, ["model.name", "baseline", "model.options.backbone", SMALL_BACKBONE])
    model = build_model("baseline", 3, backbone=SMALL_BACKBONE)
    other = tmp_path / "other.pth"
    state = {"config": plain(config), "num_classes": 3, "state_dict": model.state_dict()}
    save_checkpoint(state, other)
    with pytest.raises(ValueError, match=r"the model 'baseline', but pictures are drawn of \["):
        draw_pictures(other, ["a.png"], tmp_path)


@pytest.fixture
def sduvid(tmp_path):
    """A checkpoint whose first target has two queries of five frames each."""
    write_two_cameras(tmp_path, persons=4)
    path = tmp_path / "model.pth"
    overrides = ["data.root", str(tmp_path), "data.sources", "['sduvid']"]
    overrides += ["model.name", "baseline", "model.options.backbone", SMALL_BACKBONE]
    model = build_model("baseline", 3, backbone=SMALL_BACKBONE)
    config = plain(load_config(None, overrides))
    save_checkpoint({"config": config, "num_classes": 3, "state_dict": model.state_dict()}, path)
    return path


@pytest.mark.filterwarnings("ignore:SDUVID")
def test_a_tracklet_is_a_query_or_a_folder(sduvid):
    names = [Path(path).name for path in frames_of_tracklet(sduvid, 1, 2)]
    assert names == ["0001.png", "0005.png"]
    folder = Path(frames_of_tracklet(sduvid, 0)[0]).parent
    assert frames_of_tracklet(sduvid, folder) == [str(folder / f"000{n}.png") for n in range(1, 6)]
    assert frames_of_tracklet(sduvid, folder) == frames_of_tracklet(sduvid, 0)
    with pytest.raises(ValueError, match="Received query 2, but sduvid has queries 0 to 1"):
        frames_of_tracklet(sduvid, 2)
    with pytest.raises(ValueError, match="Received 0 frames to draw, but expected 1 or more"):
        frames_of_tracklet(sduvid, 0, 0)
