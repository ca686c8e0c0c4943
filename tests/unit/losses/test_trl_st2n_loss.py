import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.losses import build_criterion
from torchreid_occ.models.trl_st2n import TrlSt2nOutput

PIDS = torch.tensor([2, 0, 1])


def outputs(logits, aligned=None):
    return TrlSt2nOutput(logits, torch.zeros(3, 4), aligned, None)


def test_each_stream_has_its_term():
    generator = torch.Generator().manual_seed(0)
    main, aligned = torch.randn(2, 3, 5, generator=generator)
    losses = build_criterion("trl_st2n", 5)(outputs(main, aligned), {"pid": PIDS})
    torch.testing.assert_close(losses["main"], F.cross_entropy(main, PIDS))
    torch.testing.assert_close(losses["alignment"], F.cross_entropy(aligned, PIDS))
    torch.testing.assert_close(losses["loss"], losses["main"] + losses["alignment"])
    alone = build_criterion("trl_st2n", 5)(outputs(main), {"pid": PIDS})
    assert alone.keys() == {"loss", "main", "acc"}


def test_every_frame_has_the_clips_identity():
    logits = torch.full((3, 2, 5), -20.0)
    for clip, pid in enumerate(PIDS):
        logits[clip, :, pid] = 20
    losses = build_criterion("trl_st2n", 5)(outputs(logits), {"pid": PIDS})
    assert losses["acc"] == 100
    assert losses["loss"] < 1e-6
    wrong = build_criterion("trl_st2n", 5)(outputs(logits), {"pid": PIDS.roll(1)})
    assert wrong["acc"] == 0


def test_logits_of_other_classes_are_refused():
    with pytest.raises(ValueError, match=r"logits of 5 classes.*built for 6"):
        build_criterion("trl_st2n", 6)(outputs(torch.zeros(3, 5)), {"pid": PIDS})
