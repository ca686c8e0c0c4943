"""Scores of thirds, cell by cell."""

import pytest
import torch

from torchreid_occ.completion.cells import average_person, cell_scores, middle_columns

PERSON = torch.randn(8, 6, 4, generator=torch.Generator().manual_seed(0))
OBSTACLE = torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(1))


def tracklet(seed, frames=6):
    """People look alike but for a little noise of their own and of each frame."""
    noise = torch.Generator().manual_seed(seed)
    own = 0.5 * torch.randn(8, 6, 4, generator=noise)
    return PERSON + own + 0.3 * torch.randn(frames, 8, 6, 4, generator=noise)


@pytest.fixture(scope="module")
def person():
    return average_person(tracklet(seed) for seed in range(20, 40))


def test_the_average_is_that_of_all_frames():
    parts = [tracklet(seed, frames) for seed, frames in ((1, 3), (2, 5))]
    found = average_person(iter(parts))
    torch.testing.assert_close(found.cells, torch.cat(parts).mean(0))
    torch.testing.assert_close(found.mean.flatten(), torch.cat(parts).mean((0, 2, 3)))
    with pytest.raises(ValueError, match="no tracklets"):
        average_person([])


def test_a_third_hidden_in_most_frames_scores_lowest(person):
    maps = tracklet(7)
    hidden = torch.zeros(6, 3, dtype=torch.bool)
    hidden[:4, 2] = True
    maps[:4, :, 4:] = OBSTACLE
    scores = cell_scores(maps, person)
    assert scores.shape == (6, 3)
    assert scores[hidden].max() < scores[~hidden].min()


def test_the_scores_are_two_cosines_of_each_cell(person):
    maps = tracklet(9, frames=2)
    own = maps - maps.mean((0, 2, 3), keepdim=True)
    found = []
    for t in range(2):
        values = []
        for row in range(6):
            for column in range(4):
                average = person.cells[:, row, column] - person.mean.flatten()
                typical = [
                    torch.cosine_similarity(m[:, row, column] - person.mean.flatten(), average, 0)
                    for m in maps
                ]
                weights = [torch.exp(8 * value) for value in typical]
                seen = [w * o[:, row, column] for w, o in zip(weights, own, strict=True)]
                reference = sum(seen) / sum(weights)
                alike = torch.cosine_similarity(own[t, :, row, column], reference, 0)
                values.append((typical[t] + alike) / 2)
        found.append(torch.stack(values).view(3, -1).mean(1))
    torch.testing.assert_close(cell_scores(maps, person), torch.stack(found))


@pytest.mark.parametrize(("width", "columns"), [(1, [0]), (4, [1, 2]), (6, [1, 2, 3, 4])])
def test_the_middle_columns(width, columns):
    maps = torch.arange(width).expand(2, 3, 5, width)
    assert middle_columns(maps)[0, 0, 0].tolist() == columns
