import pytest
import torch

from torchreid_occ.models.layers.apu import AdaptivePartition
from torchreid_occ.models.layers.stn_regions import StnPartition


def predicting(partition, shoulder, hip, knee, column):
    """Makes a partition predict the same lines whatever it sees."""
    lines = torch.nn.functional.one_hot
    with torch.no_grad():
        partition.row_head.weight.zero_()
        partition.column_head.weight.zero_()
        biases = [
            lines(torch.tensor(line), classes).float()
            for line, classes in zip((shoulder, hip, knee), partition.row_classes, strict=True)
        ]
        partition.row_head.bias.copy_(torch.cat(biases))
        partition.column_head.bias.copy_(
            lines(torch.tensor(column), partition.column_head.out_features)
        )
    return partition


def row_lines(regions):
    """Rows above each of the three lines, read off the masks."""
    heights = regions.masks[0].amax(2).sum(1)
    return [int(heights[0]), int(heights[:2].sum()), int(heights[:3].sum())]


def test_classes_and_logits():
    partition = AdaptivePartition(64, 8, 4)
    regions = partition(torch.randn(3, 64, 8, 4))
    assert [line.shape for line in regions.keypoint_logits] == [(3, 5), (3, 6), (3, 7), (3, 3)]


@pytest.mark.parametrize(
    ("predicted", "cut"),
    [
        ((1, 3, 5, 2), [2, 4, 6]),
        ((3, 1, 0, 0), [4, 5, 6]),  # out of order: each line is pushed below the one above
        ((4, 5, 6, 0), [5, 6, 7]),
    ],
)
def test_lines_keep_their_order(predicted, cut):
    partition = predicting(AdaptivePartition(64, 8, 4), *predicted)
    regions = partition(torch.randn(1, 64, 8, 4))
    assert row_lines(regions) == cut
    assert regions.masks[0, 2].amax(0).sum() == predicted[3] + 1
    assert torch.equal(regions.masks.sum(1), torch.ones(1, 8, 4))


@pytest.mark.parametrize("num_regions", range(3, 9))
@pytest.mark.parametrize("allow_empty", [False, True])
def test_random_partitions_cover_every_unit_once(num_regions, allow_empty):
    torch.manual_seed(num_regions)
    partition = AdaptivePartition(32, 6, 4, num_regions, allow_empty)
    regions = partition(torch.randn(64, 32, 6, 4))
    assert regions.masks.shape == (64, num_regions, 6, 4)
    assert torch.equal(regions.masks.sum(1), torch.ones(64, 6, 4))
    empty = (regions.masks.sum((2, 3)) == 0).any()
    assert empty == allow_empty


def test_empty_regions_as_in_figure_9():
    partition = predicting(AdaptivePartition(64, 8, 4, allow_empty=True), 2, 7, 7, 1)
    regions = partition(torch.randn(1, 64, 8, 4))
    assert [line.shape[1] for line in regions.keypoint_logits] == [8, 8, 8, 4]
    assert regions.masks[0].sum((1, 2)).tolist() == [12, 20, 0, 0, 0, 0]


def test_the_chosen_lines_carry_no_gradient():
    partition = AdaptivePartition(64, 8, 4)
    maps = torch.randn(2, 64, 8, 4, requires_grad=True)
    regions = partition(maps)
    assert not regions.masks.requires_grad
    assert not regions.boxes.requires_grad
    assert all(line.requires_grad for line in regions.keypoint_logits)


def test_stn_starts_at_the_fixed_partition_and_learns_through_its_masks():
    partition = StnPartition(64, 16, 8)
    maps = torch.randn(2, 64, 16, 8)
    regions = partition(maps)
    top, left, height, width = regions.boxes[0, 2].tolist()
    assert [top, left, height, width] == pytest.approx([0.5, 0, 0.25, 0.5], abs=1e-5)
    assert regions.masks[0, 2, 8:12, :4].min() > 0.75
    assert regions.masks[0, 2, :7].max() < 0.01
    assert regions.keypoint_logits is None
    (regions.masks * torch.rand(16, 8)).sum().backward()
    assert partition.box_head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("partition", [AdaptivePartition, StnPartition])
def test_wrong_sizes(partition):
    with pytest.raises(ValueError, match="map of 3x4, but body regions need at least 4x2"):
        partition(64, 3, 4)
    with pytest.raises(ValueError, match="map of 6x4, but the partition was built for 8x4"):
        partition(64, 8, 4)(torch.zeros(1, 64, 6, 4))
    with pytest.raises(ValueError, match="num_regions 9"):
        partition(64, 8, 4, num_regions=9)
