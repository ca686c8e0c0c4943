"""Body regions of a feature map: masks and boxes cut by three row lines and one column line."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from torchreid_occ.utils.checks import check_choice

# A region is (first row band, last row band, first column band, last column band), ends excluded.
# Row bands: head 0, upper body 1, upper legs 2, lower legs 3; column bands: left 0, right 1.
_HEAD, _HEAD_LEFT, _HEAD_RIGHT = (0, 1, 0, 2), (0, 1, 0, 1), (0, 1, 1, 2)
_BODY, _BODY_LEFT, _BODY_RIGHT = (1, 2, 0, 2), (1, 2, 0, 1), (1, 2, 1, 2)
_LEGS, _THIGHS, _SHINS = (2, 4, 0, 2), (2, 3, 0, 2), (3, 4, 0, 2)
_FOUR_LEGS = ((2, 3, 0, 1), (2, 3, 1, 2), (3, 4, 0, 1), (3, 4, 1, 2))
REGION_LAYOUTS = {
    3: (_HEAD, _BODY, _LEGS),
    4: (_HEAD, _BODY, _THIGHS, _SHINS),
    5: (_HEAD, _BODY, _THIGHS, *_FOUR_LEGS[2:]),
    6: (_HEAD, _BODY, *_FOUR_LEGS),
    7: (_HEAD, _BODY_LEFT, _BODY_RIGHT, *_FOUR_LEGS),
    8: (_HEAD_LEFT, _HEAD_RIGHT, _BODY_LEFT, _BODY_RIGHT, *_FOUR_LEGS),
}
# Paper silent [R15]: read off Fig. 7.
FIXED_ROWS = (0.2, 0.5, 0.75)
FIXED_COLUMN = 0.5
POSITIONS = ("center", "official_topleft")


class Regions(NamedTuple):
    """Regions of F frame maps.

    masks: `(F, N, H, W)`; boxes: `(F, N, 4)`, fractions (top, left, height, width) of the map;
    keypoint_logits: logits of the four lines of a learned partition, or None.
    """

    masks: Tensor
    boxes: Tensor
    keypoint_logits: tuple[Tensor, ...] | None = None


def region_layout(num_regions: int) -> Tensor:
    """Looks up which bands each region covers (RFCnet, Fig. 7).

    Args:
        num_regions: Number of regions, 3 to 8.

    Returns:
        An `(N, 4)` tensor of first and last row band, first and last column band.

    Raises:
        ValueError: If there is no layout with this number of regions.
    """
    check_choice("num_regions", num_regions, REGION_LAYOUTS)
    return torch.tensor(REGION_LAYOUTS[num_regions])


def cut_regions(
    row_lines: Tensor,
    column_line: Tensor,
    layout: Tensor,
    size: tuple[int, int],
    dtype: torch.dtype,
) -> Regions:
    """Cuts maps into rectangular regions that cover every pixel exactly once.

    Reference: RFCnet, Eq. 1.

    Args:
        row_lines: Number of map rows above each of the three lines, in ascending order.
        column_line: Number of map columns left of the line.
        layout: Bands of each region, from `region_layout`.
        size: Height and width of the map.
        dtype: Type of the masks and boxes.

    Shape:
        row_lines: `(F, 3)`; column_line: `(F, 1)`; layout: `(N, 4)`.

    Returns:
        `Regions` without key point logits.
    """
    height, width = size
    row_edges = nn.functional.pad(nn.functional.pad(row_lines, (1, 0)), (0, 1), value=height)
    column_edges = nn.functional.pad(nn.functional.pad(column_line, (1, 0)), (0, 1), value=width)
    top, bottom = row_edges[:, layout[:, 0]], row_edges[:, layout[:, 1]]
    left, right = column_edges[:, layout[:, 2]], column_edges[:, layout[:, 3]]
    rows = torch.arange(height, device=row_lines.device)
    columns = torch.arange(width, device=row_lines.device)
    in_rows = (rows >= top[..., None]) & (rows < bottom[..., None])
    in_columns = (columns >= left[..., None]) & (columns < right[..., None])
    masks = in_rows[..., :, None] & in_columns[..., None, :]
    boxes = torch.stack(
        (
            top.to(dtype) / height,
            left.to(dtype) / width,
            (bottom - top).to(dtype) / height,
            (right - left).to(dtype) / width,
        ),
        dim=-1,
    )
    return Regions(masks.to(dtype), boxes)


def region_dtype(maps: Tensor) -> torch.dtype:
    """Returns the type of masks and boxes: the maps', but at least float32."""
    return torch.promote_types(maps.dtype, torch.float32)


class FixedPartition(nn.Module):
    """The same regions for every map: rows cut at 0.2, 0.5 and 0.75, the column at one half.

    Reference: RFCnet, Section 6.4 and Fig. 7.

    Args:
        num_regions: Number of regions, 3 to 8.

    Shape:
        maps: `(F, C, H, W)` with H >= 4 and W >= 2.

    Raises:
        ValueError: If there is no such number of regions, or the map is too small to be cut.
    """

    layout: Tensor

    def __init__(self, num_regions: int = 6) -> None:
        super().__init__()
        self.register_buffer("layout", region_layout(num_regions), persistent=False)

    def forward(self, maps: Tensor) -> Regions:
        """Returns the `Regions` of the maps."""
        height, width = maps.shape[-2:]
        check_map_size(height, width)
        cuts = [round(height * row) for row in FIXED_ROWS] + [round(width * FIXED_COLUMN)]
        lines = torch.tensor(cuts, device=maps.device).expand(maps.shape[0], -1)
        return cut_regions(
            lines[:, :3], lines[:, 3:], self.layout, (height, width), region_dtype(maps)
        )


def check_map_size(height: int, width: int) -> None:
    """Checks that a map is large enough for three row lines and one column line.

    Args:
        height: Height of the map.
        width: Width of the map.

    Raises:
        ValueError: If it is smaller.
    """
    if height < 4 or width < 2:
        raise ValueError(
            f"Received a feature map of {height}x{width}, but body regions need at least 4x2: use "
            "larger frames or an earlier stage"
        )


def region_positions(boxes: Tensor, position: str) -> Tensor:
    """Encodes the positions of regions.

    Reference: RFCnet, Section 3.3 (the vector (y, x, h, w) before Eq. 5).

    Args:
        boxes: Regions as fractions (top, left, height, width) of the map.
        position: 'center' as in the paper, or 'official_topleft': the released code halves
            fractions by integer division, which leaves the top left corner.

    Shape:
        boxes: `(F, N, 4)`; result: `(F, N, 4)`.
    """
    # Paper silent [R4]: the released code rounds the centre down to the corner.
    if position == "official_topleft":
        return boxes
    corner, size = boxes.split(2, dim=2)
    return torch.cat((corner + size / 2, size), dim=2)
