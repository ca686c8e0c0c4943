import pytest
import torch

from torchreid_occ.losses import CRITERIA, build_criterion
from torchreid_occ.losses.triplet import BatchHardTriplet
from torchreid_occ.models import ClipOutput


@pytest.fixture
def outputs():
    torch.manual_seed(0)
    return ClipOutput(torch.randn(4, 3), torch.randn(4, 6))


BATCH = {"pid": torch.tensor([0, 0, 2, 2])}


def smoothed_cross_entropy(logits, pids, epsilon):
    log = logits.log_softmax(1)
    target = torch.nn.functional.one_hot(pids, logits.shape[1]) * (1 - epsilon)
    return -((target + epsilon / logits.shape[1]) * log).sum(1).mean()


def test_terms(outputs):
    losses = build_criterion("identity", 3)(outputs, BATCH)
    ce = smoothed_cross_entropy(outputs.logits, BATCH["pid"], 0.1)
    triplet = BatchHardTriplet("cosine", 0.5)(outputs.features, BATCH["pid"])
    assert list(losses) == ["loss", "ce", "triplet", "acc"]
    torch.testing.assert_close(losses["ce"], ce)
    torch.testing.assert_close(losses["triplet"], triplet)
    torch.testing.assert_close(losses["loss"], ce + triplet)


def test_options(outputs):
    options = {"distance": "euclidean", "label_smoothing": 0.0}
    losses = build_criterion("identity", 3, **options)(outputs, BATCH)
    torch.testing.assert_close(
        losses["ce"], smoothed_cross_entropy(outputs.logits, BATCH["pid"], 0.0)
    )
    expected = BatchHardTriplet("euclidean", 0.3)(outputs.features, BATCH["pid"])
    torch.testing.assert_close(losses["triplet"], expected)
    wide = build_criterion("identity", 3, margin=1.5)(outputs, BATCH)["triplet"]
    expected = BatchHardTriplet("cosine", 1.5)(outputs.features, BATCH["pid"])
    torch.testing.assert_close(wide, expected)


@pytest.mark.parametrize("term", ["ce", "triplet"])
def test_one_term_alone(outputs, term):
    options = {"ce": term == "ce", "triplet": term == "triplet"}
    losses = build_criterion("identity", 3, **options)(outputs, BATCH)
    assert list(losses) == ["loss", term, "acc"]
    assert losses["loss"] == losses[term]


def test_accuracy_is_in_percent_and_without_gradient():
    logits = torch.eye(4, 3, requires_grad=True)  # predicts 0, 1, 2 and, for a tie, 0
    outputs = ClipOutput(logits, torch.randn(4, 6))
    accuracy = build_criterion("identity", 3)(outputs, BATCH)["acc"]
    assert accuracy == 50
    assert not accuracy.requires_grad


def test_needs_no_supervision():
    assert build_criterion("identity", 3).supervision == ()


def test_invalid_requests(outputs):
    with pytest.raises(ValueError, match="ce False and triplet False"):
        build_criterion("identity", 3, ce=False, triplet=False)
    with pytest.raises(ValueError, match=r"logits of 3 classes, .* built for 5"):
        build_criterion("identity", 5)(outputs, BATCH)
    with pytest.raises(KeyError, match=r"softmax.*identity.*rfcnet"):
        build_criterion("softmax", 3)
    assert sorted(CRITERIA) == ["identity", "rfcnet", "rru_stim", "trl_st2n"]
