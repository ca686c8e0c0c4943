import pytest
import torch

from torchreid_occ.models.layers.partition import (
    FixedPartition,
    cut_regions,
    region_layout,
    region_positions,
)


def test_fixed_partition_into_six():
    masks = FixedPartition(6)(torch.zeros(1, 1, 20, 4)).masks[0]
    labels = (masks * torch.arange(6).view(6, 1, 1)).sum(0)
    rows = [[0.0] * 4] * 4 + [[1.0] * 4] * 6 + [[2.0, 2, 3, 3]] * 5 + [[4.0, 4, 5, 5]] * 5
    assert torch.equal(labels, torch.tensor(rows))


# Areas on a map of 20 rows and 4 columns: rows end at 4, 10, 15 and 20, columns at 2 and 4.
AREAS = {
    3: [16, 24, 40],
    4: [16, 24, 20, 20],
    5: [16, 24, 20, 10, 10],
    6: [16, 24, 10, 10, 10, 10],
    7: [16, 12, 12, 10, 10, 10, 10],
    8: [8, 8, 12, 12, 10, 10, 10, 10],
}


@pytest.mark.parametrize("num_regions", AREAS)
def test_fixed_partitions_cover_every_unit_once(num_regions):
    regions = FixedPartition(num_regions)(torch.zeros(2, 1, 20, 4))
    assert torch.equal(regions.masks.sum(1), torch.ones(2, 20, 4))
    assert regions.masks[1].sum((1, 2)).tolist() == AREAS[num_regions]
    areas = regions.boxes[0, :, 2] * regions.boxes[0, :, 3] * 80
    torch.testing.assert_close(areas, torch.tensor(AREAS[num_regions]).float())


@pytest.mark.parametrize("height", range(4, 40))
def test_no_fixed_region_is_empty(height):
    masks = FixedPartition(8)(torch.zeros(1, 1, height, 2)).masks
    assert masks.sum((2, 3)).min() >= 1


@pytest.mark.parametrize("num_regions", range(3, 9))
def test_masks_fill_their_boxes(num_regions):
    height, width = 9, 7
    row_lines = torch.tensor([[1, 4, 8], [3, 5, 6], [2, 2, 9]])
    regions = cut_regions(
        row_lines,
        torch.tensor([[1], [6], [3]]),
        region_layout(num_regions),
        (height, width),
        torch.float64,
    )
    assert torch.equal(regions.masks.sum(1), torch.ones(3, height, width, dtype=torch.float64))
    for masks, boxes in zip(regions.masks, regions.boxes, strict=True):
        for mask, (top, left, tall, wide) in zip(masks, boxes.tolist(), strict=True):
            expected = torch.zeros_like(mask)
            rows = slice(round(top * height), round((top + tall) * height))
            columns = slice(round(left * width), round((left + wide) * width))
            expected[rows, columns] = 1
            assert torch.equal(mask, expected)


def test_row_a_belongs_to_the_upper_part():
    # a1 = 0, a2 = 1, a3 = 2, a4 = 0 (Eq. 1): one row or column above or left of each line.
    regions = cut_regions(
        torch.tensor([[1, 2, 3]]), torch.tensor([[1]]), region_layout(6), (4, 2), torch.float32
    )
    labels = regions.masks[0].argmax(0)
    assert labels.tolist() == [[0, 0], [1, 1], [2, 3], [4, 5]]


def test_positions():
    boxes = torch.tensor([[[0.5, 0.25, 0.5, 0.75]]])
    center = torch.tensor([[[0.75, 0.625, 0.5, 0.75]]])
    assert torch.equal(region_positions(boxes, "center"), center)
    assert torch.equal(region_positions(boxes, "official_topleft"), boxes)


def test_impossible_partitions():
    with pytest.raises(ValueError, match=r"num_regions 2.*\[3, 4, 5, 6, 7, 8\]"):
        FixedPartition(2)
    for size in ((3, 2), (4, 1)):
        with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}, but .* at least 4x2"):
            FixedPartition(6)(torch.zeros(1, 1, *size))
