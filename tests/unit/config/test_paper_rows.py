"""Rows of the papers' tables: their data, who is trained on, and what FIDELITY rules for them."""

from pathlib import Path

import pytest
from shipped_configs import CONFIGS, all_phases, phases_below
from support import write_two_cameras

from torchreid_occ.config import load_config
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.phases import phase_configs


def paper_rows():
    return phases_below("headline", "ablation")


def system(name):
    return Path(name).parent.name


def test_every_row_names_its_data():
    rows = {name for name, _ in paper_rows()}
    assert len(rows) == 253
    for key, config in paper_rows().items():
        named = [*config.data.sources, *config.data.targets]
        assert named, key
        for dataset in named:
            assert not dataset.startswith("occwalk"), key
            assert dataset_class(dataset), key


def test_absent_data_stops_with_its_message(tmp_path):
    names = {one for row in paper_rows().values() for one in row.data.sources} - {"completed"}
    assert "mars" in names
    for name in names:
        with pytest.raises(FileNotFoundError, match=r"data\.root"):
            load_dataset(name, tmp_path)


def test_every_row_trains_on_all_identities_and_resizes_as_the_released_codes():
    for key, config in paper_rows().items():
        assert config.test.select == "last", key
        assert config.data.interpolation == "bicubic", key


@pytest.mark.parametrize(
    ("row", "phase"),
    [
        ("headline/rfcnet/table4.yaml#ce", None),
        ("headline/rfcnet/table5.yaml#without_clues", None),
        ("headline/rfcnet/table5.yaml#qan", None),
        ("headline/vrstc/table5.yaml#ilidsvid", "pretrain"),
        ("headline/rru_stim/table3.yaml#ilidsvid", None),
        ("headline/trl_st2n/table3.yaml#sduvid", "align"),
        ("headline/trl_st2n/table3.yaml#sduvid", "joint"),
    ],
)
def test_no_identity_is_held_out(row, phase, tmp_path):
    write_two_cameras(tmp_path, persons=8, frames=9)
    config = load_config(
        CONFIGS / row,
        ["data.root", str(tmp_path), "data.workers", "0", "train.batch_size", "4"],
    )
    config = phase_configs(config)[phase] if phase else config
    config.defrost()
    config.data.sources = ["sduvid"]
    config.freeze()
    datamanager = backend_of(config).build_datamanager()
    assert datamanager.num_train_pids == 4
    assert datamanager.val_loader is None


def test_tracklets_are_cut_on_the_duke_video_sets_of_rfcnet():
    cut = {key for key, config in paper_rows().items() if config.video.train_cut}
    assert {config.video.train_cut for key, config in paper_rows().items() if key in cut} == {32}
    expected = {
        key
        for key in paper_rows()
        if key[0].startswith(("headline/rfcnet/table5", "ablation/rfcnet/table9"))
        or key[0].startswith(("headline/rfcnet/table7.yaml#duke", "headline/vrstc/rfcnet_table5"))
    }
    assert cut == expected


def test_vrstc_tests_whole_tracklets():
    for (name, phase), config in paper_rows().items():
        if system(name) == "vrstc":
            assert (config.video.test_clip_len, config.test.batch_size) == (0, 1), (name, phase)


def test_batches_of_rru_stim_are_those_of_its_released_code():
    for (name, _), config in paper_rows().items():
        own = config.sampler.across_cameras, config.sampler.min_frames
        assert own == ((True, 8) if system(name) == "rru_stim" else (False, 0)), name


def test_trl_st2n_aligns_on_mars_and_takes_the_steps_of_its_data():
    steps = {"mars": 10000, "prid2011": 8000, "ilidsvid": 8000, "sduvid": 5000}  # Section IV.B
    rows = {name for name, _ in paper_rows() if system(name) == "trl_st2n"}
    assert {
        "ablation/trl_st2n/figure4.yaml#sduvid_main",
        "ablation/trl_st2n/table4.yaml#mars",
    } < rows
    for name in rows:
        align, joint = (paper_rows()[name, phase] for phase in ("align", "joint"))
        assert align.data.sources == ["mars"]
        assert align.train.max_iter == 10000
        (data,) = joint.data.sources
        assert joint.train.max_iter == steps[data], name
        aligned = joint.model.options.get("alignment") != "none"
        assert joint.model.start_parts == ["stem", *["alignment"] * aligned], name


def test_weights_that_a_phase_takes_are_named():
    for name, phases in all_phases().items():
        for config in phases.values():
            assert bool(config.model.start_from) == bool(config.model.start_parts), name


def test_recipes_with_documented_numbers_stay_as_they_were():
    for key, config in phases_below("demo", "compare", "pretrain").items():
        assert config.data.interpolation == "bilinear", key
        assert config.video.train_cut == config.sampler.min_frames == 0, key
        assert config.engine == "torchreid" or config.test.select == "last", key
        assert not config.sampler.across_cameras, key
        assert config.video.test_clip_len in (64, 128), key
