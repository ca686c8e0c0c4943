import warnings

import pytest
import torch
import torchreid

from torchreid_occ.losses.triplet import BatchHardTriplet


def samples():
    torch.manual_seed(0)
    return torch.randn(8, 5, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 1, 2, 3, 3])


def test_euclidean_equals_torchreids():
    features, pids = samples()
    expected = torchreid.losses.TripletLoss(margin=0.3)(features, pids)
    torch.testing.assert_close(BatchHardTriplet("euclidean")(features, pids), expected)


def test_cosine_against_loops():
    features, pids = samples()
    terms = []
    for i in range(8):
        cosines = [torch.cosine_similarity(features[i], other, dim=0) for other in features]
        hardest_positive = min(cosines[j] for j in range(8) if pids[j] == pids[i])
        hardest_negative = max(cosines[j] for j in range(8) if pids[j] != pids[i])
        terms.append(max(0, hardest_negative - hardest_positive + 0.5))
    torch.testing.assert_close(BatchHardTriplet()(features, pids), sum(terms) / 8)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_sample_without_partner_is_its_own_positive(distance):
    features = torch.tensor([[1.0, 0.0], [1.0, 0.01]], requires_grad=True)
    loss = BatchHardTriplet(distance, margin=0.2)(features, torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx({"cosine": 0.2, "euclidean": 0.19}[distance], abs=1e-3)
    assert features.grad.isfinite().all()


def test_gradient():
    features, pids = samples()
    for distance in ("cosine", "euclidean"):
        loss = BatchHardTriplet(distance, margin=3.0)
        assert torch.autograd.gradcheck(
            lambda x, loss=loss: loss(x, pids), features.requires_grad_()
        )


def test_one_identity_costs_nothing_and_warns_once():
    loss = BatchHardTriplet()
    features = torch.randn(4, 5, requires_grad=True)
    pids = torch.zeros(4, dtype=torch.long)
    with pytest.warns(UserWarning, match="one identity only"):
        value = loss(features, pids)
    value.backward()
    assert value == 0
    assert torch.equal(features.grad, torch.zeros(4, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loss(features, pids) == 0


def test_unknown_distance():
    with pytest.raises(ValueError, match=r'"manhattan".*cosine.*euclidean'):
        BatchHardTriplet("manhattan")
