from typing import NamedTuple

import torch

from torchreid_occ.utils.nested import map_tensors


class Output(NamedTuple):
    logits: torch.Tensor
    parts: list


def test_nested_outputs_keep_their_structure():
    found = map_tensors(lambda t: t + 1, {"a": [torch.zeros(1), None], "b": (torch.ones(1), "x")})
    assert found == {"a": [torch.ones(1), None], "b": (torch.full((1,), 2.0), "x")}
    assert isinstance(found["b"], tuple)


def test_named_tuples_keep_their_class():
    found = map_tensors(torch.neg, Output(torch.ones(2), [torch.ones(1)]))
    assert type(found) is Output
    assert found.logits.tolist() == [-1, -1]
    assert found.parts == [torch.tensor([-1.0])]
