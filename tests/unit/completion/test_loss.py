import math

import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.completion.loss import CompletionLoss, realness_loss
from torchreid_occ.completion.network import Completion

FRAME = torch.zeros(2, 3, 4, 2)
COMPLETION = Completion(FRAME + 0.5, FRAME - 0.25)
LOGITS = {"local": torch.tensor([0.0, 2.0]), "global": torch.tensor([-1.0, 1.0])}


def test_terms_of_equation_10():
    guess, pids = torch.randn(2, 7), torch.tensor([3, 5])
    criterion = CompletionLoss(lambda_adversarial=0.01, lambda_guider=0.2)
    losses = criterion(COMPLETION, FRAME, LOGITS, guess, pids)
    assert losses["reconstruction"].item() == pytest.approx(0.75)
    fooled = {name: torch.log(1 - torch.sigmoid(value)).mean() for name, value in LOGITS.items()}
    for name, expected in fooled.items():
        torch.testing.assert_close(losses[f"{name}_adversarial"], expected)
    torch.testing.assert_close(losses["guider"], F.cross_entropy(guess, pids))
    total = 0.75 + 0.01 * sum(fooled.values()) + 0.2 * losses["guider"]
    torch.testing.assert_close(losses["loss"], total)


def test_a_spatial_generator_alone_is_judged_once():
    losses = CompletionLoss()(Completion(FRAME + 0.5, None), FRAME, {})
    assert losses.keys() == {"loss", "reconstruction"}
    assert losses["loss"].item() == pytest.approx(0.5)


def test_sum_and_the_other_adversarial_form():
    losses = CompletionLoss("sum", saturating=False)(COMPLETION, FRAME, LOGITS)
    assert losses["reconstruction"].item() == pytest.approx(0.75 * 3 * 4 * 2)
    expected = -torch.log(torch.sigmoid(LOGITS["local"])).mean()
    torch.testing.assert_close(losses["local_adversarial"], expected)
    with pytest.raises(ValueError, match="'mean', 'sum'"):
        CompletionLoss("max")


def test_realness_is_binary_cross_entropy():
    logits = torch.tensor([-300.0, 0.5, 300.0])
    for real in (True, False):
        expected = F.binary_cross_entropy_with_logits(logits, torch.full((3,), float(real)))
        torch.testing.assert_close(realness_loss(logits, real), expected)
    assert realness_loss(torch.zeros(3)).item() == pytest.approx(math.log(2))
