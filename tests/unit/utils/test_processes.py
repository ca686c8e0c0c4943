import torch

from torchreid_occ.utils.processes import (
    gather_objects,
    gather_rows,
    is_first_process,
    joined_processes,
    process_count,
    wait_for_all,
)


def test_a_single_process_gathers_its_own_values():
    with joined_processes(use_gpu=False):
        assert process_count() == 1
        assert is_first_process()
        wait_for_all()
        assert gather_objects({"a": 1}) == [{"a": 1}]
        rows = torch.ones(2, requires_grad=True)
        assert gather_rows(rows) is rows
