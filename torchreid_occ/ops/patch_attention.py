"""Attention between all patches of two feature maps, without ever unfolding a patch."""

import torch
from torch import Tensor

from torchreid_occ.ops import library  # noqa: F401  defines the operator
from torchreid_occ.utils.checks import check_choice

AGGREGATES = ("overlap", "center")


def patch_attention(
    query: Tensor,
    key: Tensor,
    *,
    patch_size: int = 3,
    scale: float = 1.0,
    aggregate: str = "overlap",
    key_mask: Tensor | None = None,
) -> Tensor:
    """Rebuilds a map from the patches of another by their cosine similarity.

    Reference: VRSTC, Section 3.3, Eq. 1 to 3, the temporal attention layer. Patches are padded
    with zeros; a patch of zeros is similar to none (cosine 0).

    Inner products of patches are the diagonal box sums of the inner products of their centres,
    and pasting weighted patches is the same sum on the weights, so the cost is two matrix products
    and a few additions.

    Args:
        query: Map to be rebuilt.
        key: Map whose patches it is rebuilt from.
        patch_size: Side of a patch, odd.
        scale: Factor of the similarities before the softmax.
        aggregate: 'overlap' pastes whole patches and averages where they overlap; 'center' pastes
            only the patches' centres.
        key_mask: True at centres of patches that may be attended; None allows all. A position with
            nothing to attend becomes zero.

    Shape:
        query, key: `(B, C, H, W)`; key_mask: `(B, 1, H, W)`, bool; result: `(B, C, H, W)`.

    Raises:
        ValueError: If shapes, types or devices do not fit, or an option is not one of the allowed.
    """
    device = query.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        query, key = query.to(dtype), key.to(dtype)
    check_arguments(query, key, patch_size, scale, aggregate, key_mask)
    options = (patch_size, float(scale), aggregate == "overlap")
    with torch.autocast(device, enabled=False):  # sums over pairs stay in float32
        return torch.ops.torchreid_occ.patch_attention(query, key, key_mask, *options)[0]


def check_arguments(
    query: Tensor,
    key: Tensor,
    patch_size: int,
    scale: float,
    aggregate: str,
    key_mask: Tensor | None,
) -> None:
    """Checks the arguments of `patch_attention`.

    Raises:
        ValueError: With what arrived and what is allowed.
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
    check_choice("aggregate", aggregate, AGGREGATES)
    expected = (query.shape[0], 1, *query.shape[2:])
    if key_mask is not None and (key_mask.shape != expected or key_mask.dtype != torch.bool):
        raise ValueError(
            f"Received key_mask {tuple(key_mask.shape)} of {key_mask.dtype}, but expected "
            f"{expected} of torch.bool"
        )
