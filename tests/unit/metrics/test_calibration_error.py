import numpy as np
import pytest

from torchreid_occ.metrics import reliability


def loop_over_bins(probabilities, outcomes, bins):
    """Guo et al., equation 3, one bin at a time."""
    total = 0.0
    for place in range(bins):
        low, high = place / bins, (place + 1) / bins
        own = [
            (p, o)
            for p, o in zip(probabilities, outcomes, strict=True)
            if low < p <= high or (p == 0 and place == 0)
        ]
        if own:
            said, seen = np.mean(own, axis=0)
            total += len(own) / len(probabilities) * abs(said - seen)
    return total


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_error_equals_a_loop_over_bins(bins):
    rng = np.random.default_rng(bins)
    probabilities = np.append(rng.random(200), [0, 1, 0.5])
    outcomes = rng.random(203) < 0.4
    found = reliability(probabilities, outcomes, bins)
    assert found.error == pytest.approx(loop_over_bins(probabilities, outcomes, bins))
    assert found.counts.sum() == 203


def test_true_probabilities_have_a_small_error():
    rng = np.random.default_rng(0)
    probabilities = rng.random(100_000)
    assert reliability(probabilities, rng.random(100_000) < probabilities).error < 0.01
    assert reliability(probabilities**2, rng.random(100_000) < probabilities).error > 0.1


@pytest.mark.parametrize(
    ("probabilities", "outcomes", "message"),
    [([0.5], [1, 0], "shape"), ([], [], "at least 1"), ([1.2], [1], "0 to 1")],
)
def test_bad_input(probabilities, outcomes, message):
    with pytest.raises(ValueError, match=message):
        reliability(probabilities, outcomes)
