"""Attention between all patches of two feature maps, without ever unfolding a patch."""

import torch
from torch import nn

AGGREGATES = ("overlap", "center")
EPS = 1e-12  # least norm of a patch, as in `torch.nn.functional.normalize`


def patch_attention(query, key, *, patch_size=3, scale=1.0, aggregate="overlap", key_mask=None):
    """Rebuilds a map from the patches of another by their cosine similarity.

    Reference: VRSTC, Section 3.3, Eq. 1 to 3, the temporal attention layer. Patches are padded
    with zeros; a patch of zeros is similar to none (cosine 0).

    Inner products of patches are the diagonal box sums of the inner products of their centres,
    and pasting weighted patches is the same sum on the weights, so that the cost is that of two
    matrix products and a few additions.

    Args:
        query: Map to be rebuilt.
        key: Map whose patches it is rebuilt from.
        patch_size: Side of a patch, odd.
        scale: Factor of the similarities before the softmax.
        aggregate: 'overlap' pastes whole patches and averages where they overlap; 'center' takes
            the patches' centres alone.
        key_mask: True at centres of patches that may be attended; None allows all. A position with
            nothing to attend becomes zero.

    Shape:
        query, key: `(B, C, H, W)`; key_mask: `(B, 1, H, W)`, bool; result: `(B, C, H, W)`.

    Raises:
        ValueError: If shapes, types or devices do not fit, or an option is not one of the allowed.
    """
    check_arguments(query, key, patch_size, scale, aggregate, key_mask)
    size = query.shape[-2:]
    queries, keys = query.flatten(2), key.flatten(2)  # (B, C, H * W)
    products = diagonal_box_sum(queries.transpose(1, 2) @ keys, size, patch_size)
    logits = scale * products
    logits = logits * _inverse_norms(query, patch_size).flatten(1)[:, :, None]
    logits = logits * _inverse_norms(key, patch_size).flatten(1)[:, None]
    if key_mask is not None:
        key_mask = key_mask.flatten(1)[:, None]
        logits = logits.masked_fill(~key_mask, torch.finfo(logits.dtype).min)
    attention = logits.softmax(2)
    if key_mask is not None:
        attention = attention * key_mask
    if aggregate == "overlap":
        attention = diagonal_box_sum(attention, size, patch_size)
        ones = query.new_ones(1, 1, *size)
        attention = attention / box_sum(ones, patch_size).flatten(1)[..., None]
    return (keys @ attention.transpose(1, 2)).view_as(query)


def diagonal_box_sum(matrix, size, patch_size):
    """Sums a matrix over pairs of positions that move together within a patch.

    Entry (p, q) becomes the sum over all offsets d of a patch of entry (p + d, q + d), positions
    outside the map counting as zero.

    Args:
        matrix: A value for each pair of positions.
        size: Height and width of the map.
        patch_size: Side of a patch.

    Shape:
        matrix: `(B, H * W, H * W)`; result: the same.
    """
    height, width = size
    summed = matrix.view(-1, height, width, height, width)
    for first, second, length in ((1, 3, height), (2, 4, width)):
        source = summed
        for offset in range(1, min(patch_size // 2, length - 1) + 1):
            kept = length - offset
            summed = summed + _shifted(source, first, second, offset, kept, forward=True)
            summed = summed + _shifted(source, first, second, offset, kept, forward=False)
    return summed.view_as(matrix)


def _shifted(matrix, first, second, offset, kept, *, forward):
    """A matrix moved by an offset along two of its dimensions at once, zeros moving in."""
    start = offset if forward else 0
    moved = matrix.narrow(first, start, kept).narrow(second, start, kept)
    padding = [0] * (2 * (matrix.dim() - first))
    for dim in (first, second):
        place = 2 * (matrix.dim() - 1 - dim)
        padding[place + (1 if forward else 0)] = offset
    return nn.functional.pad(moved, padding)


def box_sum(maps, patch_size):
    """Sum of each patch of a map, zeros outside. Shape: `(B, 1, H, W)` to the same."""
    area = patch_size**2
    return area * nn.functional.avg_pool2d(maps, patch_size, stride=1, padding=patch_size // 2)


def check_arguments(query, key, patch_size, scale, aggregate, key_mask):
    """Checks the arguments of `patch_attention`.

    Raises:
        ValueError: Says what arrived and what is allowed.
    """
    if query.dim() != 4 or query.shape != key.shape:
        raise ValueError(
            f"Received query {tuple(query.shape)} and key {tuple(key.shape)}, but expected two "
            "maps of one shape (B, C, H, W)"
        )
    for name in ("dtype", "device"):
        if getattr(query, name) != getattr(key, name):
            raise ValueError(
                f"Received query with {name} {getattr(query, name)} and key with "
                f"{getattr(key, name)}, but expected the same"
            )
    if patch_size < 1 or patch_size % 2 == 0:
        raise ValueError(f"Received patch_size {patch_size}, but expected an odd number from 1 on")
    if not abs(scale) < float("inf"):
        raise ValueError(f"Received scale {scale}, but expected a finite number")
    if aggregate not in AGGREGATES:
        raise ValueError(
            f'Received aggregate "{aggregate}", but expected to be one of {AGGREGATES}'
        )
    expected = (query.shape[0], 1, *query.shape[2:])
    if key_mask is not None and (key_mask.shape != expected or key_mask.dtype != torch.bool):
        raise ValueError(
            f"Received key_mask {tuple(key_mask.shape)} of {key_mask.dtype}, but expected "
            f"{expected} of torch.bool"
        )


def _inverse_norms(maps, patch_size):
    squares = box_sum(maps.square().sum(1, keepdim=True), patch_size)
    return squares.clamp(min=EPS**2).rsqrt()
