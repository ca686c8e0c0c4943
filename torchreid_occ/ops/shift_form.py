"""Patch attention in plain PyTorch, on any device.

No tensor is larger than one value for each pair of positions. With f and r the columns of query and
key, S = T(f' r) holds the patches' inner products, where T is `diagonal_box_sum`; with u and v
their inverse norms, A = softmax(scale u S v). Pasting with averaged overlaps is r T(A)' / count.
T is its own adjoint, which gives the gradients.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CACHED_PAIRS = (2**18, 2**23)  # on a CPU, 1 MiB of float32; on a GPU, 32 MiB
EPS = 1e-12  # least norm of a patch, as in `torch.nn.functional.normalize`


def forward(
    query: Tensor,
    key: Tensor,
    key_mask: Tensor | None,
    patch_size: int,
    scale: float,
    overlap: bool,
) -> tuple[Tensor, Tensor]:
    """Computes the operator, and the log-sum-exp of each row of similarities, `(B, H * W)`."""
    options = (patch_size, scale, overlap)
    allowed = _rows(key_mask)
    output = torch.empty_like(query, memory_format=torch.contiguous_format)
    log_sum = query.new_empty(len(query), query.shape[2] * query.shape[3], dtype=_exact(query))
    for part in _chunks(query):
        output[part], log_sum[part] = _attend(query[part], key[part], _of(allowed, part), *options)
    return output, log_sum


def backward(
    upstream: Tensor,
    query: Tensor,
    key: Tensor,
    key_mask: Tensor | None,
    log_sum: Tensor,
    patch_size: int,
    scale: float,
    overlap: bool,
) -> tuple[Tensor, Tensor]:
    """Computes the gradients of the operator with respect to query and key."""
    allowed = _rows(key_mask)
    gradients = [
        torch.empty_like(maps, memory_format=torch.contiguous_format) for maps in (query, key)
    ]
    for part in _chunks(query):
        found = _differentiate(
            query[part],
            key[part],
            _of(allowed, part),
            log_sum[part, :, None],
            upstream[part],
            patch_size,
            scale,
            overlap,
        )
        for gradient, value in zip(gradients, found, strict=True):
            gradient[part] = value
    return gradients[0], gradients[1]


def _rows(key_mask: Tensor | None) -> Tensor | None:
    return None if key_mask is None else key_mask.flatten(1)[:, None]


def _attend(
    query: Tensor,
    key: Tensor,
    allowed: Tensor | None,
    patch_size: int,
    scale: float,
    overlap: bool,
) -> tuple[Tensor, Tensor]:
    """The operator and the log-sum-exp for samples that fit the cache."""
    size, exact = query.shape[-2:], _exact(query)
    columns = [part.to(exact).flatten(2) for part in (query, key)]
    norms = [_inverse_norms(part.view(query.shape), patch_size) for part in columns]
    logits = _logits(columns, norms, size, patch_size, scale)
    if allowed is not None:
        logits.masked_fill_(~allowed, torch.finfo(exact).min)
    log_sum = logits.logsumexp(2, keepdim=True)
    weights = _attention(logits, log_sum, allowed)
    if overlap:
        weights = _pasted(weights, size, patch_size)
    return (columns[1] @ weights.transpose(1, 2)).view(query.shape), log_sum.squeeze(2)


def _differentiate(
    query: Tensor,
    key: Tensor,
    allowed: Tensor | None,
    log_sum: Tensor,
    upstream: Tensor,
    patch_size: int,
    scale: float,
    overlap: bool,
) -> list[Tensor]:
    """Gradients for samples that fit the cache."""
    size, exact = query.shape[-2:], _exact(query)
    columns = [part.to(exact).flatten(2) for part in (query, key)]
    norms = [_inverse_norms(part.view(query.shape), patch_size) for part in columns]
    logits = _logits(columns, norms, size, patch_size, scale)
    attention = _attention(logits, log_sum, allowed)
    weights = _pasted(attention, size, patch_size) if overlap else attention
    upstream = upstream.to(exact).flatten(2)
    key_gradient = upstream @ weights
    gradient = upstream.transpose(1, 2) @ columns[1]
    if overlap:
        count = _patch_count(gradient, size, patch_size)
        gradient = diagonal_box_sum(gradient.div_(count), size, patch_size)
    # Through the softmax, ...
    gradient.sub_((gradient * attention).sum(2, keepdim=True)).mul_(attention)
    slopes = logits.mul_(gradient)
    # ... the inner products, ...
    gradient.mul_(scale * norms[0].flatten(1)[..., None]).mul_(norms[1].flatten(1)[:, None])
    gradient = diagonal_box_sum(gradient, size, patch_size)
    gradients = [columns[1] @ gradient.transpose(1, 2), key_gradient + columns[0] @ gradient]
    # ... and the norms, where they were not raised to EPS.
    for index, dim in enumerate((2, 1)):
        moved = norms[index].square() * slopes.sum(dim).view_as(norms[index])
        moved = torch.where(norms[index] < 1 / EPS, moved, 0)
        gradients[index] -= columns[index] * box_sum(moved, patch_size).flatten(2)
    return [part.view(query.shape) for part in gradients]


def _exact(maps: Tensor) -> torch.dtype:
    """The type of sums over all pairs, for which half precision is too coarse."""
    return torch.promote_types(maps.dtype, torch.float32)


def _chunks(maps: Tensor) -> list[slice]:
    """Slices of the batch whose matrices of pairs fit the cache."""
    pairs = (maps.shape[2] * maps.shape[3]) ** 2
    step = max(1, CACHED_PAIRS[maps.device.type == "cuda"] // max(1, pairs))
    return [slice(start, start + step) for start in range(0, len(maps), step)]


def _of(mask: Tensor | None, part: slice) -> Tensor | None:
    return None if mask is None else mask[part]


def _logits(
    columns: list[Tensor], norms: list[Tensor], size: torch.Size, patch_size: int, scale: float
) -> Tensor:
    """Scaled cosine similarities of all pairs of patches."""
    products = columns[0].transpose(1, 2) @ columns[1]
    logits = diagonal_box_sum(products, size, patch_size)
    return logits.mul_(scale * norms[0].flatten(1)[..., None]).mul_(norms[1].flatten(1)[:, None])


def _attention(logits: Tensor, log_sum: Tensor, allowed: Tensor | None) -> Tensor:
    attention = (logits - log_sum).exp_()
    return attention if allowed is None else attention.masked_fill_(~allowed, 0)


def _pasted(attention: Tensor, size: torch.Size, patch_size: int) -> Tensor:
    """The weight of each key at each position when whole patches are pasted."""
    pasted = diagonal_box_sum(attention, size, patch_size)
    return pasted.div_(_patch_count(attention, size, patch_size))


def _patch_count(like: Tensor, size: torch.Size, patch_size: int) -> Tensor:
    """The number of patches that cover each position. Shape: `(1, H * W, 1)`."""
    return box_sum(like.new_ones(1, 1, *size), patch_size).flatten(1)[..., None]


def diagonal_box_sum(matrix: Tensor, size: Sequence[int], patch_size: int) -> Tensor:
    """Sums a matrix over pairs of positions that move together within a patch.

    Entry (p, q) becomes the sum over all offsets d of a patch of entry (p + d, q + d), positions
    outside the map counting as zero. Not differentiable.

    Args:
        matrix: A value for each pair of positions.
        size: Height and width of the map.
        patch_size: Side of a patch.

    Shape:
        matrix: `(B, H * W, H * W)`; result: the same.
    """
    height, width = size
    summed = matrix.detach().view(-1, height, width, height, width)
    for dims in ((1, 3), (2, 4)):  # rows, then columns
        source, summed = summed, summed.clone()
        length = source.shape[dims[0]]
        for offset in range(1, min(patch_size // 2, length - 1) + 1):
            kept = length - offset
            _diagonal(summed, dims, 0, kept).add_(_diagonal(source, dims, offset, kept))
            _diagonal(summed, dims, offset, kept).add_(_diagonal(source, dims, 0, kept))
    return summed.view_as(matrix)


def _diagonal(tensor: Tensor, dims: tuple[int, int], start: int, kept: int) -> Tensor:
    return tensor.narrow(dims[0], start, kept).narrow(dims[1], start, kept)


def box_sum(maps: Tensor, patch_size: int) -> Tensor:
    """Sums each patch of a map, zeros outside. Shape: `(B, 1, H, W)` to the same."""
    area = patch_size**2
    return area * nn.functional.avg_pool2d(maps, patch_size, stride=1, padding=patch_size // 2)


def _inverse_norms(maps: Tensor, patch_size: int) -> Tensor:
    squares = box_sum(maps.square().sum(1, keepdim=True), patch_size)
    return squares.clamp(min=EPS**2).rsqrt()
