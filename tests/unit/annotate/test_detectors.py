import socket

import pytest
import torch
from torch import nn
from torchvision.models.detection import keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn
from torchvision.ops.misc import FrozenBatchNorm2d

from torchreid_occ.annotate import detectors
from torchreid_occ.annotate.detectors import load_detector
from torchreid_occ.annotate.networks import Network, build_rcnn
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.weights import WeightsUnavailable

TINY = Network("resnet18", 8, (8,), 64)
TORCHVISION = {"keypoints": keypointrcnn_resnet50_fpn, "masks": maskrcnn_resnet50_fpn}


@pytest.fixture
def write(tmp_path):
    def write(kind, num_classes=2, network=TINY, **more):
        path = tmp_path / f"{kind}.pth"
        weights = build_rcnn(kind, num_classes, network).state_dict()
        torch.save({"network": network._asdict(), "state_dict": {**weights, **more}}, path)
        return path

    return write


@pytest.mark.parametrize("kind", TORCHVISION)
def test_the_default_network_is_torchvisions(kind):
    with torch.device("meta"):
        own = build_rcnn(kind, 5, Network(), nn.BatchNorm2d)
        theirs = TORCHVISION[kind](weights=None, weights_backbone=None, num_classes=5)
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (own, theirs)]
    assert shapes[0] == shapes[1]
    assert str(own.roi_heads) == str(theirs.roi_heads)
    assert str(own.rpn) == str(theirs.rpn)


@pytest.mark.parametrize("kind", TORCHVISION)
@pytest.mark.parametrize("num_classes", [2, 7])
def test_a_file_says_its_sizes_and_classes(write, kind, num_classes):
    path = write(kind, num_classes)
    detector = load_detector(kind, path, min_score=0.3)
    assert detector.sha256 == file_hash(path)
    assert not detector.network.training
    assert detector.network.roi_heads.score_thresh == 0.3
    assert detector.network.roi_heads.box_predictor.cls_score.out_features == num_classes
    assert (detector.network.transform.min_size, detector.network.transform.max_size) == ((64,), 64)
    weights = torch.load(path, weights_only=True)["state_dict"]
    for name, value in detector.network.state_dict().items():
        assert torch.equal(value, weights[name])


def test_frames_are_enlarged_to_the_height(write):
    network = load_detector("masks", write("masks"), height=96).network
    images, _ = network.transform([torch.rand(3, 32, 16)])
    assert images.image_sizes == [(96, 48)]
    images, _ = network.transform([torch.rand(3, 192, 64)])
    assert images.image_sizes == [(96, 32)]


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta")
def test_a_bare_state_dict_is_of_the_default_network(tmp_path, monkeypatch):
    torch.save(build_rcnn("masks", 91, TINY).state_dict(), tmp_path / "bare.pth")
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match=r"bare\.pth does not fit Network\(body='resnet50'"),
    ):
        load_detector("masks", tmp_path / "bare.pth")


def test_the_released_files_are_loaded_as_torchvision_does(write, monkeypatch):
    path = write("keypoints")

    def eps():
        network = load_detector("keypoints", path).network
        return {m.eps for m in network.modules() if isinstance(m, FrozenBatchNorm2d)}

    assert eps() == {1e-5}
    released = type("Weights", (), {"url": f"https://x/coco-{file_hash(path)[:8]}.pth"})
    monkeypatch.setitem(detectors.RELEASED, "keypoints", released)
    assert eps() == {0.0}


def test_the_error_without_weights_names_file_and_argument(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(WeightsUnavailable) as raised:
        load_detector("masks")
    file = "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
    assert f"https://download.pytorch.org/models/{file}" in str(raised.value)
    assert str(tmp_path / "hub" / "checkpoints" / file) in str(raised.value)
    assert "(segmentation_weights)" in str(raised.value)
    with pytest.raises(WeightsUnavailable, match=r"keypointrcnn_resnet50.*keypoint_weights"):
        load_detector("keypoints")


def test_files_of_something_else_are_refused(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_detector("masks", tmp_path / "nowhere.pth")
    with pytest.raises(
        ValueError, match=r"holds no R-CNN for keypoints: it lacks.*kps_score_lowres"
    ):
        load_detector("keypoints", write("masks"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list\.pth holds no R-CNN for masks"):
        load_detector("masks", tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"(?s)does not fit.*unknown"):
        load_detector("masks", write("masks", unknown=torch.zeros(1)))
    weights = build_rcnn("keypoints", 2, TINY).state_dict()
    weights["roi_heads.keypoint_predictor.kps_score_lowres.weight"] = torch.zeros(8, 14, 4, 4)
    torch.save({"network": TINY._asdict(), "state_dict": weights}, tmp_path / "hands.pth")
    with pytest.raises(ValueError, match="finds 14 key points, but expected COCO's 17"):
        load_detector("keypoints", tmp_path / "hands.pth")
