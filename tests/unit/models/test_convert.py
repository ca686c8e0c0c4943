import numpy as np
import pytest
import torch

from torchreid_occ.cli import main
from torchreid_occ.models import build_model
from torchreid_occ.models.released import rfcnet


def released_names():
    """Ours by the released model's names, written out by hand for what is easy to get wrong."""
    ours = {
        "backbone.stages.0.conv1": "conv1",
        "backbone.stages.0.bn1": "bn1",
        "neck": "bn",
        "classifier": "classifier",
    }
    ours.update({f"backbone.stages.{i}.layer{i + 1}": f"layer{i + 1}" for i in range(4)})
    for theirs, stage in (("RFC1", 2), ("RFC2", 3)):
        for part, name in {
            "partition.descriptors": "APU.conv",
            "partition.row_head": "APU.cls_ver",
            "partition.column_head": "APU.cls_hor",
            "foreground": "SA.conv",
            "spatial.reduce": "conv_reduce",
            "spatial.completion.appearance": "SRFC.conv1",
            "spatial.completion.position": "SRFC.conv2",
            "spatial.completion.encode": "SRFC.conv",
            "spatial.completion.decode": "SRFC.conv3",
            "spatial.extend": "conv_extend",
        }.items():
            ours[f"blocks.{stage}.{part}"] = f"{theirs}.{name}"
    return ours


@pytest.fixture(scope="module")
def model():
    return build_model("rfcnet", 3, **rfcnet.CONFIG["model"]["options"])


@pytest.fixture(scope="module")
def released(model):
    weights = {}
    for name, tensor in model.state_dict().items():
        ours, theirs = next(
            pair for pair in released_names().items() if name.startswith(pair[0] + ".")
        )
        if tensor.dim() == 2 and ours != "classifier":
            tensor = tensor[:, :, None, None]
        weights[theirs + name.removeprefix(ours)] = tensor
    return weights


def test_conversion_is_the_inverse(model, released):
    converted = rfcnet.convert(released)
    expected = model.state_dict()
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[name], expected[name]) for name in expected)


def test_unknown_names_are_refused():
    with pytest.raises(KeyError, match=r"RFC3\.conv_reduce\.weight.*RFC1\."):
        rfcnet.convert({"RFC3.conv_reduce.weight": torch.zeros(1)})


@pytest.mark.parametrize("rank1", [np.float32(0.6), np.float64(0.6)])
def test_command(model, released, tmp_path, capsys, rank1):
    source, target = tmp_path / "released.pth.tar", tmp_path / "ours.pth.tar"
    weights = {f"module.{name}": tensor for name, tensor in released.items()}
    torch.save({"state_dict": weights, "rank1": rank1, "epoch": 79}, source)
    main(["convert", "rfcnet", str(source), str(target)])
    assert f"Wrote {target}: 3 identities" in capsys.readouterr().out
    written = torch.load(target, weights_only=True)["state_dict"]
    model.load_state_dict(written)
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, source.name]


def test_command_leaves_nothing_behind_when_weights_are_missing(released, tmp_path):
    source, target = tmp_path / "released.pth", tmp_path / "ours.pth"
    weights = {name: tensor for name, tensor in released.items() if "cls_ver" not in name}
    torch.save(weights, source)
    with pytest.raises(SystemExit, match=r"could not be converted(.|\n)*row_head"):
        main(["convert", "rfcnet", str(source), str(target)])
    assert not target.exists()
