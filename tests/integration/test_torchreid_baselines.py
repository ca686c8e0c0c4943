import pytest
import torch
from support import REPOSITORY, TINY, pairs, write_two_cameras

from torchreid_occ._torchreid import torchreid
from torchreid_occ.config import load_config
from torchreid_occ.runs.run import run_experiment

SETTINGS = {
    key: value for key, value in TINY.items() if key.split(".")[0] in ("train", "sampler", "data")
}
SETTINGS.update({"model.pretrained": "False", "model.name": "osnet_x0_25", "video.seq_len": "3"})


@pytest.mark.parametrize("loss", ["softmax", "triplet"])
def test_equals_a_plain_script_against_torchreids_api(two_cameras, tmp_path, loss):
    suffix = "" if loss == "softmax" else "_triplet"
    config = load_config(
        REPOSITORY / "configs" / f"baseline_torchreid_resnet50{suffix}.yaml",
        [*pairs(SETTINGS), "data.root", str(two_cameras), "data.sources", "sduvid",
         "data.save_dir", str(tmp_path / "ours")],
    )  # fmt: skip
    results = run_experiment(config)

    torchreid.utils.set_random_seed(1)
    datamanager = torchreid.data.VideoDataManager(
        root=str(two_cameras),
        sources="sduvid",
        height=64,
        width=32,
        batch_size_train=8,
        batch_size_test=8,
        workers=0,
        num_instances=2,
        train_sampler="RandomSampler" if loss == "softmax" else "RandomIdentitySampler",
        seq_len=3,
        sample_method="evenly",
    )
    model = torchreid.models.build_model(
        "osnet_x0_25", datamanager.num_train_pids, loss=loss, pretrained=False
    )
    optimizer = torchreid.optim.build_optimizer(model, optim="adam", lr=0.0003, adam_beta2=0.999)
    scheduler = torchreid.optim.build_lr_scheduler(optimizer, stepsize=20)
    engine_class = (
        torchreid.engine.VideoSoftmaxEngine
        if loss == "softmax"
        else torchreid.engine.VideoTripletEngine
    )
    engine = engine_class(datamanager, model, optimizer, scheduler=scheduler)
    engine.run(save_dir=str(tmp_path / "script"), max_epoch=2, ranks=[1])

    ours = torch.load(tmp_path / "ours" / "model" / "model.pth.tar-2", weights_only=True)
    script = model.state_dict()
    assert ours["state_dict"].keys() == script.keys()
    assert all(torch.equal(ours["state_dict"][name], value) for name, value in script.items())
    loaders = engine.test_loader["sduvid"]
    rank1, mAP = engine._evaluate(  # noqa: N806
        "sduvid", loaders["query"], loaders["gallery"], dist_metric="euclidean", ranks=[1]
    )
    result = results["targets"]["sduvid"]["last"]
    assert result["mAP"] == mAP
    assert result["cmc"][1] == rank1


def test_damaged_images_are_found_before_torchreids_reader_retries_them(tmp_path):
    root = write_two_cameras(tmp_path / "data")
    broken = root / "SDU-VID" / "sequences" / "cam1" / "person001" / "0002.png"
    broken.write_bytes(broken.read_bytes()[:60])
    config = load_config(
        REPOSITORY / "configs" / "baseline_torchreid_resnet50.yaml",
        [*pairs(SETTINGS), "data.root", str(root), "data.sources", "sduvid",
         "data.save_dir", str(tmp_path / "run")],
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"1 of 80 images cannot be read(.|\n)*person001/0002\.png"
    ):
        run_experiment(config)


def test_a_model_of_ours_in_torchreids_engine(two_cameras, tmp_path):
    ours = {"model.name": "baseline", "model.options.backbone": "resnet18_x0_5"}
    config = load_config(
        REPOSITORY / "configs" / "baseline_torchreid_resnet50.yaml",
        [*pairs({**SETTINGS, **ours}), "data.root", str(two_cameras), "data.sources", "sduvid",
         "data.save_dir", str(tmp_path / "run")],
    )  # fmt: skip
    results = run_experiment(config)
    assert results["cost"]["parameters"] == 2_798_880
    assert 0 < results["targets"]["sduvid"]["last"]["mAP"] <= 1


def test_options_and_checkpoints_torchreids_models_do_not_take(two_cameras, tmp_path):
    path = REPOSITORY / "configs" / "baseline_torchreid_resnet50.yaml"
    data = [
        *("data.root", str(two_cameras), "data.sources", "sduvid"),
        *("data.save_dir", str(tmp_path / "run")),
    ]
    settings = pairs({**SETTINGS, "model.options.backbone": "resnet18"})
    with pytest.raises(ValueError, match="osnet_x0_25 takes none"):
        run_experiment(load_config(path, [*settings, *data]))
    settings = pairs({**SETTINGS, "model.pretrained": "some.pth"})
    with pytest.raises(ValueError, match=r"set model\.load_weights"):
        run_experiment(load_config(path, [*settings, *data]))
