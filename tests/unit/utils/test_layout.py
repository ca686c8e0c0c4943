import torch
from torch import nn

from torchreid_occ.utils.layout import lay_out_channels_last


def test_2d_convolutions_read_channels_last_and_parameters_stay_the_same_objects():
    model = nn.ModuleList([nn.Conv2d(4, 6, 3), nn.Conv3d(4, 6, 3), nn.Linear(4, 6)])
    before = list(model.parameters())
    values = [parameter.detach().clone() for parameter in before]
    lay_out_channels_last(model)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[1].weight.is_contiguous()
    for one, other, value in zip(before, model.parameters(), values, strict=True):
        assert one is other
        assert torch.equal(other, value)
