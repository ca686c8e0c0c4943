import torch

from torchreid_occ.utils.nested import map_tensors
from torchreid_occ.utils.processes import (
    gather_objects,
    gather_rows,
    is_first_process,
    joined_processes,
    process_count,
    wait_for_all,
)


def test_one_process_is_all_there_is():
    with joined_processes(use_gpu=False):
        assert process_count() == 1
        assert is_first_process()
        wait_for_all()
        assert gather_objects({"a": 1}) == [{"a": 1}]
        rows = torch.ones(2, requires_grad=True)
        assert gather_rows(rows) is rows


def test_nested_outputs_keep_their_form():
    found = map_tensors(lambda t: t + 1, {"a": [torch.zeros(1), None], "b": (torch.ones(1), "x")})
    assert found == {"a": [torch.ones(1), None], "b": (torch.full((1,), 2.0), "x")}
