"""Definitions by unfolded patches: slow, with large memory; the operators must equal them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ.ops.patch_attention import check_arguments


def patch_attention_reference(
    query: Tensor,
    key: Tensor,
    *,
    patch_size: int = 3,
    scale: float = 1.0,
    aggregate: str = "overlap",
    key_mask: Tensor | None = None,
) -> Tensor:
    """Computes :func:`~torchreid_occ.ops.patch_attention` patch by patch.

    Reference: VRSTC, Eq. 1 to 3. Arguments, shapes and errors are that function's.
    """
    check_arguments(query, key, patch_size, scale, aggregate, key_mask)
    height, width = query.shape[-2:]
    padding = patch_size // 2
    key_patches = F.unfold(key, patch_size, padding=padding)  # (B, C * K * K, H * W)
    similarity = torch.einsum(
        "bcp,bcq->bpq",
        F.normalize(F.unfold(query, patch_size, padding=padding), dim=1),
        F.normalize(key_patches, dim=1),
    )
    logits = scale * similarity
    if key_mask is not None:
        logits = logits.masked_fill(~key_mask.flatten(1)[:, None], float("-inf"))
    attention = logits.softmax(2)
    if key_mask is not None:  # nothing to attend gives nothing
        attention = attention.nan_to_num(0.0)
    if aggregate == "center":
        return torch.einsum("bpq,bcq->bcp", attention, key.flatten(2)).view_as(query)
    patches = torch.einsum("bpq,bcq->bcp", attention, key_patches)
    pasted = F.fold(patches, (height, width), patch_size, padding=padding)
    ones = torch.ones(1, patch_size**2, height * width, dtype=query.dtype, device=query.device)
    return pasted / F.fold(ones, (height, width), patch_size, padding=padding)
