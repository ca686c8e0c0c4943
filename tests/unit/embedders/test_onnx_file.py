"""ONNX files as checkpoints: a small one of another program, our own exports, and a real OSNet."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx_files import write_mean_colour, write_onnx
from support import REPOSITORY, pairs
from torch.nn.functional import normalize

from torchreid_occ import TrackletExtractor
from torchreid_occ.config import load_config, plain
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.embedders.onnx_file import load_onnx
from torchreid_occ.export import export_model
from torchreid_occ.footage.onnx_detector import OnnxDetector
from torchreid_occ.metrics import evaluate_rank
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import save_checkpoint
from torchreid_occ.utils.files import file_hash

SETTINGS = "height: 8\nwidth: 4\nnorm_mean: [0, 0, 0]\nnorm_std: [1, 1, 1]\n"
REAL = REPOSITORY.parent / "shared" / "real"
OSNET = REAL / "models" / "osnet_x0_25_msmt17.onnx"


@pytest.fixture
def colours(tmp_path):
    path = write_mean_colour(tmp_path / "colours.onnx")
    path.with_suffix(".yaml").write_text(SETTINGS)
    return path


def frames(*colours):
    return np.stack([np.full((16, 6, 3), colour, np.uint8) for colour in colours])


def unit(*values):
    return np.array(values) / np.linalg.norm(values)


def test_features_are_means_of_normalised_frame_features(colours):
    extractor = TrackletExtractor(colours, workers=0)
    red_and_grey, blue = extractor([frames((255, 0, 0), (51, 51, 51)), frames((0, 0, 102))])
    expected = (unit(1, 0, 0) + unit(1, 1, 1)) / 2
    np.testing.assert_allclose(red_and_grey, expected, atol=1e-6)
    np.testing.assert_allclose(blue, [0, 0, 1], atol=1e-6)
    assert (extractor.feature_dim, extractor.precision) == (3, "own")


def test_the_yaml_file_says_how_frames_are_read(colours):
    plain_hash = load_onnx(colours).sha256
    settings = SETTINGS.replace("norm_mean: [0, 0, 0]", "norm_mean: [0.2, 0, 0]") + "channels: bgr"
    colours.with_suffix(".yaml").write_text(settings)
    extractor = TrackletExtractor(colours, workers=0)
    (feature,) = extractor([frames((102, 51, 0))])
    # The channels are reversed after the means of red, green and blue are subtracted.
    np.testing.assert_allclose(feature, unit(0, 0.2, 0.2), atol=1e-6)
    assert extractor.checkpoint_hash != plain_hash
    colours.with_suffix(".yaml").write_text(SETTINGS + "trained_on: a mall\n")
    assert load_onnx(colours).sha256 == plain_hash  # features are the same


def test_a_fixed_batch_is_filled_up(tmp_path, colours):
    path = write_mean_colour(tmp_path / "two.onnx", batch=2)
    path.with_suffix(".yaml").write_text(SETTINGS)
    tracklet = [frames((9, 8, 7), (60, 5, 4), (3, 20, 1))]
    one, other = (TrackletExtractor(file, workers=0)(tracklet) for file in (path, colours))
    np.testing.assert_array_equal(one, other)


def test_what_it_was_trained_on(colours):
    unknown = load_onnx(colours).provenance
    assert str(unknown) == (
        "colours.onnx was trained on data that is not known; how well it did is not known."
    )
    more = "trained_on: a mall\nnum_people: 12\nresults: 5 mAP on a bank\n"
    colours.with_suffix(".yaml").write_text(SETTINGS + more)
    lines = str(load_onnx(colours).provenance).splitlines()
    assert lines[0] == "colours.onnx was trained on a mall (12 people); it had 5 mAP on a bank."
    assert lines[1].startswith("Warning: it has seen 12 people only")


def test_without_a_yaml_file_the_error_shows_one(tmp_path):
    path = write_mean_colour(tmp_path / "colours.onnx", height=160, width=64)
    with pytest.raises(FileNotFoundError, match=r"colours\.yaml must.*\nheight: 160\nwidth: 6"):
        load_onnx(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SETTINGS.replace("width: 4\n", "size: 4\n"), r"lacks \['width'\] .* unknown \['size'\]"),
        (SETTINGS.replace("width: 4", "width: 5"), r"says width 5, but .*colours\.onnx reads 4"),
        (SETTINGS.replace("[0, 0, 0]", "[0, 0]"), "norm_mean"),
        (SETTINGS + "channels: grey", r"channels 'grey', but expected one of \['rgb', 'bgr'\]"),
        ("- 1", "holds no keys"),
    ],
)
def test_wrong_yaml_files(colours, settings, message):
    colours.with_suffix(".yaml").write_text(settings)
    with pytest.raises(ValueError, match=message):
        load_onnx(colours)


def test_files_that_are_no_embedders(tmp_path):
    maps = helper.make_node("Relu", ["frames"], ["maps"])
    shape = ["N", 3, 8, 4]
    path = write_onnx(tmp_path / "maps.onnx", [maps], {"frames": shape}, {"maps": shape})
    path.with_suffix(".yaml").write_text(SETTINGS)
    with pytest.raises(ValueError, match=r"no embedder: its output .* \(2, 3, 8, 4\)"):
        load_onnx(path)
    one = helper.make_node("Flatten", ["frames"], ["features"], axis=0)  # of all frames
    path = write_onnx(tmp_path / "one.onnx", [one], {"frames": shape}, {"features": [1, "D"]})
    path.with_suffix(".yaml").write_text(SETTINGS)
    with pytest.raises(ValueError, match=r"no embedder: its output .* \(1, 192\)"):
        load_onnx(path)
    path = write_onnx(tmp_path / "flat.onnx", [maps], {"frames": ["N", 3]}, {"maps": ["N", 3]})
    with pytest.raises(ValueError, match=r"no embedder of frames: its inputs are \[\('frames', "):
        load_onnx(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"flat\.onnx is an ONNX file that onnxruntime cannot run"):
        load_onnx(path)


def test_features_that_depend_on_the_frames_beside_them_are_refused(tmp_path):
    pooled = helper.make_node("GlobalAveragePool", ["frames"], ["pooled"])
    flat = helper.make_node("Flatten", ["pooled"], ["flat"])
    for axis in (0, 1):  # over the batch, over the feature
        scaled = helper.make_node("LpNormalization", ["flat"], ["features"], axis=axis)
        shapes = {"frames": ["N", 3, 8, 4]}, {"features": ["N", 3]}
        path = write_onnx(tmp_path / f"{axis}.onnx", [pooled, flat, scaled], *shapes)
        path.with_suffix(".yaml").write_text(SETTINGS)
    load_onnx(path)
    with pytest.raises(ValueError, match=r"0\.onnx is no embedder of single frames: two .* batch"):
        load_onnx(tmp_path / "0.onnx")


@pytest.mark.parametrize("load", [load_onnx, OnnxDetector])
def test_frames_in_half_precision_are_refused(tmp_path, load):
    cast = helper.make_node("Cast", ["frames"], ["found"], to=TensorProto.FLOAT)
    shape = ["N", 3, 8, 4]
    path = write_onnx(tmp_path / "half.onnx", [cast], {"frames": shape}, {"found": shape})
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"half\.onnx is no .*\(float16\)'\)\], .* in float32"):
        load(path)


def test_the_metadata_of_an_export_say_how_frames_are_read(tmp_path):
    about = {
        "torchreid_occ": "0.3.0", "model": "baseline", "checkpoint": "ab" * 32, "feature_dim": 3,
        "clip_len": 2, "provenance": ["300 people of mars", "it had 5 mAP", "a warning"],
        "height": 8, "width": 4, "interpolation": "bilinear", "norm_mean": [0.2, 0, 0],
        "norm_std": [1, 1, 1],
    }  # fmt: skip
    mean = helper.make_node("ReduceMean", ["clips"], ["features"], axes=[1, 3, 4], keepdims=0)
    shapes = {"clips": ["B", "T", 3, 8, 4]}, {"features": ["B", 3]}
    metadata = {key: json.dumps(value) for key, value in about.items()}
    path = write_onnx(tmp_path / "own.onnx", [mean], *shapes, metadata=metadata)
    extractor = TrackletExtractor(path, workers=0)
    (feature,) = extractor([frames((102, 0, 0), (153, 51, 0), (0, 102, 0))])
    np.testing.assert_allclose(feature, [1 / 3 - 0.2, 0.2, 0], atol=1e-6)
    assert extractor.provenance == ("own.onnx", *about["provenance"])
    assert extractor.checkpoint_hash == file_hash(path) and extractor.checkpoint == path
    assert extractor.precision == "float32"
    metadata["precision"] = '"int8"'
    write_onnx(path, [mean], *shapes, metadata=metadata)
    assert TrackletExtractor(path, precision="int8").precision == "int8"
    with pytest.raises(ValueError, match=r"written in, which is 'int8', not 'bfloat16': leave"):
        TrackletExtractor(path, precision="bfloat16")
    del metadata["clip_len"]
    write_onnx(path, [mean], *shapes, metadata=metadata)
    with pytest.raises(ValueError, match=r"no complete export of this package: 'clip_len'"):
        load_onnx(path)


@pytest.mark.slow
def test_our_own_export_needs_no_yaml_file(tmp_path):
    settings = {"data.height": "64", "data.width": "32", "model.name": "baseline"}
    settings |= {"video.test_clip_len": "2", "data.norm_mean": "[0.4, 0.5, 0.6]"}
    config = load_config(None, pairs(settings)).clone()
    config.defrost()
    config.model.options.backbone = "resnet18_x0_5"
    torch.manual_seed(0)
    model = build_model("baseline", 4, backbone="resnet18_x0_5")
    state = {"config": plain(config), "num_classes": 4, "state_dict": model.state_dict()}
    save_checkpoint(state, tmp_path / "model.pth.tar-1")
    export_model(tmp_path / "model.pth.tar-1", "onnx", tmp_path / "own.onnx")
    tracklets = [np.random.default_rng(0).integers(256, size=(5, 70, 40, 3), dtype=np.uint8)]
    exported = TrackletExtractor(tmp_path / "own.onnx", workers=0)
    trained = TrackletExtractor(tmp_path / "model.pth.tar-1", workers=0)
    torch.testing.assert_close(exported(tracklets), trained(tracklets), rtol=1e-4, atol=1e-5)
    assert exported.provenance[1:] == trained.provenance[1:]
    assert "rendered people only" in exported.provenance.warning


@pytest.mark.slow
@pytest.mark.skipif(not OSNET.is_file(), reason="needs the real tracklets beside the checkout")
def test_a_real_osnet_ranks_real_people(tmp_path):
    path = tmp_path / OSNET.name
    shutil.copy(OSNET, path)
    path.with_suffix(".yaml").write_text(
        "height: 256\nwidth: 128\nnorm_mean: [0.485, 0.456, 0.406]\n"
        "norm_std: [0.229, 0.224, 0.225]\n"
    )
    dataset = load_dataset("mars", str(REAL))
    people = sorted({pid for _, pid, *_ in dataset.gallery})[:30]
    query, gallery = (
        [item for item in items if item[1] in people] for items in (dataset.query, dataset.gallery)
    )
    found = TrackletExtractor(path, workers=0)([[*item[0]] for item in gallery])
    features = dict(zip([item[0] for item in gallery], normalize(found), strict=True))
    asked = torch.stack([features[item[0]] for item in query])  # queries are in the gallery, too
    distances = (1 - asked @ torch.stack([*features.values()]).T).numpy()
    labels = (np.array([i[place] for i in items]) for place in (1, 2) for items in (query, gallery))
    cmc, mean_ap = evaluate_rank(distances, *labels)
    assert (len(query), len(gallery)) == (87, 285)
    assert cmc[0] == pytest.approx(0.759, abs=0.012)
    assert mean_ap == pytest.approx(0.589, abs=0.005)
