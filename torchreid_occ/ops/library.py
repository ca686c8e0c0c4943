"""The operator as PyTorch's dispatcher knows it: schema, shapes, gradient, and what computes it.

The shift form serves every device; the binary's kernels, where they are loaded, stand before it.
"""

import torch

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


@torch.library.register_fake(FORWARD)
def _(query, key, key_mask, *options):
    batch, _, height, width = query.shape
    exact = torch.promote_types(query.dtype, torch.float32)
    return query.new_empty(query.shape), query.new_empty(batch, height * width, dtype=exact)


@torch.library.register_fake(BACKWARD)
def _(upstream, query, key, key_mask, log_sum, *options):
    return query.new_empty(query.shape), key.new_empty(key.shape)


def _remember(ctx, inputs, output):
    query, key, key_mask, *options = inputs
    ctx.save_for_backward(query, key, key_mask, output[1])
    ctx.options = options


def _differentiate(ctx, upstream, _):
    query, key, key_mask, log_sum = ctx.saved_tensors
    backward = torch.ops.torchreid_occ.patch_attention_backward
    gradients = backward(upstream, query, key, key_mask, log_sum, *ctx.options)
    return *gradients, None, None, None, None


torch.library.register_autograd(FORWARD, _differentiate, setup_context=_remember)
binary.load()
