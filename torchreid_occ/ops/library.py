"""Registration of the operator with PyTorch's dispatcher: schema, shapes, gradient and kernels.

The shift form is the default on every device; kernels of the binary take its place if loaded.
"""

from typing import Any

import torch
from torch import Tensor

from torchreid_occ.ops import binary, shift_form

FORWARD, BACKWARD = "torchreid_occ::patch_attention", "torchreid_occ::patch_attention_backward"
_OPTIONS = "int patch_size, float scale, bool overlap"
SCHEMAS = {
    FORWARD: f"(Tensor query, Tensor key, Tensor? key_mask, {_OPTIONS}) -> (Tensor, Tensor)",
    BACKWARD: "(Tensor upstream, Tensor query, Tensor key, Tensor? key_mask, Tensor log_sum, "
    f"{_OPTIONS}) -> (Tensor, Tensor)",
}

for _name, _schema in SCHEMAS.items():
    torch.library.define(_name, _schema)
torch.library.impl(FORWARD, "CompositeExplicitAutograd", shift_form.forward)
torch.library.impl(BACKWARD, "CompositeExplicitAutograd", shift_form.backward)


def _fake_forward(
    query: Tensor, key: Tensor, key_mask: Tensor | None, *options: object
) -> tuple[Tensor, Tensor]:
    batch, _, height, width = query.shape
    exact = torch.promote_types(query.dtype, torch.float32)
    return query.new_empty(query.shape), query.new_empty(batch, height * width, dtype=exact)


def _fake_backward(
    upstream: Tensor,
    query: Tensor,
    key: Tensor,
    key_mask: Tensor | None,
    log_sum: Tensor,
    *options: object,
) -> tuple[Tensor, Tensor]:
    return query.new_empty(query.shape), key.new_empty(key.shape)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, key_mask, *options = inputs
    ctx.save_for_backward(query, key, key_mask, output[1])
    ctx.options = options


def _differentiate(ctx: Any, upstream: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    query, key, key_mask, log_sum = ctx.saved_tensors
    backward = torch.ops.torchreid_occ.patch_attention_backward
    gradients = backward(upstream, query, key, key_mask, log_sum, *ctx.options)
    return *gradients, None, None, None, None


torch.library.register_fake(FORWARD, _fake_forward)
torch.library.register_fake(BACKWARD, _fake_backward)
torch.library.register_autograd(FORWARD, _differentiate, setup_context=_remember)
binary.load()
