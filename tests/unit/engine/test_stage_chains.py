"""Stages are run as one where nothing else reads the maps between them."""

import pytest
import torch
from torch import nn

from torchreid_occ.engine.stage_chains import chains_of
from torchreid_occ.engine.stage_runners import stages_of
from torchreid_occ.models import build_model

SIZE = {"height": 64, "width": 32}
CHAINS = [
    ("baseline", {}, [[0, 1, 2, 3]]),
    ("qan", {}, [[0, 1, 2], [3]]),  # the frames' quality reads the maps before the last stage
    ("rfcnet", {"stages": [2]}, [[0, 1], [2, 3]]),
    ("rfcnet", {"stages": [1, 2, 3]}, [[0], [1], [2], [3]]),
    ("rru_stim", {"last_stride": 1, "auxiliary": "none"}, [[0, 1, 2, 3]]),
    ("vrstc", {}, [[0], [3]]),  # non-local blocks stand between the layers of the others
]


@pytest.mark.parametrize(("name", "options", "expected"), CHAINS)
def test_chains_of_models(name, options, expected):
    model = build_model(name, 4, **SIZE, backbone="resnet18_x0_5", **options).eval()
    stages = stages_of(model)
    numbers = {stage: number for number, stage in enumerate(stages)}
    found = chains_of(model, stages, torch.zeros(1, 2, 3, *SIZE.values()))
    assert [[numbers[stage] for stage in chain] for chain in found] == expected
    assert not any(stage._forward_hooks or stage._forward_pre_hooks for stage in stages.values())


class TwoReaders(nn.Module):
    """The map of a stage is read by two others, or also by a sum."""

    def __init__(self, stages, also_summed):
        super().__init__()
        self.first, self.second, self.third = stages
        self.also_summed = also_summed

    def forward(self, clips):
        maps = self.first(clips.flatten(0, 1))
        if self.also_summed:
            return self.second(maps).sum() + sum([maps.sum()])
        return self.second(maps).sum() + self.third(maps).sum()


@pytest.mark.parametrize("also_summed", [False, True])
def test_a_map_that_others_read_is_not_hidden_in_a_chain(also_summed):
    backbones = [
        build_model("baseline", 4, **SIZE, backbone="resnet18_x0_5").backbone.stages
        for _ in range(2)
    ]
    stages = backbones[0][0], backbones[0][1], backbones[1][1]
    model = TwoReaders(stages, also_summed).eval()
    found = chains_of(model, stages_of(model), torch.zeros(1, 2, 3, *SIZE.values()))
    assert [len(chain) for chain in found] == ([1, 1] if also_summed else [1, 1, 1])
