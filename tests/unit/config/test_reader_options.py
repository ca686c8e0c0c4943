"""Rows of the papers' tables give readers the options that the papers' datasets need."""

import inspect

import pytest
from shipped_configs import phases_below

from torchreid_occ.data.datasets import dataset_class


def options_of(dataset, part):
    """The options of a dataset in the rows of a paper that read it, by the row and phase."""
    return {
        key: phase.data.options.get(dataset, {})
        for key, phase in phases_below(f"headline/{part}", f"ablation/{part}").items()
        if dataset in [*phase.data.sources, *phase.data.targets]
    }


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
