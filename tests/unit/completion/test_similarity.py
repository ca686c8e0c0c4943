import pytest
import torch

from torchreid_occ.completion.similarity import third_features, third_scores


def test_rows_are_shared_by_area():
    maps = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 1, 4, 5)
    found = third_features(maps)
    assert found.shape == (1, 3, 1)
    third = 4 / 3  # rows
    expected = [(0 + 1 / 3) / third, (2 / 3 * 1 + 2 / 3 * 2) / third, (1 / 3 * 2 + 3) / third]
    assert found.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("height", [1, 2, 3, 8, 16])
def test_the_mean_of_the_thirds_is_that_of_the_map(height):
    maps = torch.randn(2, 5, height, 3, dtype=torch.float64)
    torch.testing.assert_close(third_features(maps).mean(1), maps.mean((2, 3)))


def test_a_constant_tracklet_scores_one_everywhere():
    features = torch.randn(1, 3, 8, dtype=torch.float64).expand(6, 3, 8)
    torch.testing.assert_close(third_scores(features), torch.ones(6, 3, dtype=torch.float64))


def test_a_third_unlike_the_others_scores_low():
    features = torch.ones(5, 3, 4)
    features[2, 1] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    scores = third_scores(features)
    assert scores.flatten().argmin().item() == 2 * 3 + 1
    mean = features[:, 1].mean(0)
    expected = features[2, 1] @ mean / (features[2, 1].norm() * mean.norm())
    torch.testing.assert_close(scores[2, 1], expected)
    torch.testing.assert_close(scores[:, [0, 2]], torch.ones(5, 2))
