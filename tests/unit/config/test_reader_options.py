"""Rows of the papers' tables give readers the options that the papers' datasets need."""

import inspect

import pytest
from support import REPOSITORY

from torchreid_occ.config import configurations, load_config
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.runs.phases import phase_configs


def options_of(dataset, part):
    """The options of a dataset in the rows of a paper that read it, by the row and phase."""
    found = {}
    for folder in ("headline", "ablation"):
        for path in sorted((REPOSITORY / "configs" / folder / part).glob("*.yaml")):
            for name in configurations(path):
                config = load_config(name)
                for phase, its in (phase_configs(config) or {"train": config}).items():
                    if dataset in [*its.data.sources, *its.data.targets]:
                        row = name.removeprefix(f"{REPOSITORY}/configs/")
                        found[row, phase] = its.data.options.get(dataset, {})
    return found


@pytest.mark.parametrize(("part", "limit"), [("rru_stim", 21), ("trl_st2n", 27)])
def test_prid2011s_limit_is_the_papers(part, limit):
    default = inspect.signature(dataset_class("prid2011")).parameters["min_frames"].default
    found = options_of("prid2011", part)
    assert len(found) > 3
    assert {options.get("min_frames", default) for options in found.values()} == {limit + 1}


def test_msmt17_is_trained_on_both_lists():
    found = options_of("msmt17", "rfcnet")
    assert len(found) == 6
    assert all(options == {"train_val": True} for options in found.values())
