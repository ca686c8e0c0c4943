"""Every backend that is there gives what the definition gives, whatever is asked of it."""

import itertools

import pytest
import torch
from torch.library import opcheck

from torchreid_occ.ops import backends, patch_attention, patch_attention_reference
from torchreid_occ.ops.shift_form import backward, forward

OPERATOR = torch.ops.torchreid_occ.patch_attention.default


def by_dispatcher(query, key, upstream, key_mask, options):
    output = OPERATOR(query, key, key_mask, *options)[0]
    return output, *torch.autograd.grad(output, (query, key), upstream)


def by_shift_form(query, key, upstream, key_mask, options):
    output, log_sum = forward(query.detach(), key.detach(), key_mask, *options)
    gradients = backward(upstream, query.detach(), key.detach(), key_mask, log_sum, *options)
    return output, *gradients


def by_definition(query, key, upstream, key_mask, options):
    patch_size, scale, overlap = options
    output = patch_attention_reference(
        query, key, patch_size=patch_size, scale=scale, key_mask=key_mask,
        aggregate="overlap" if overlap else "center",
    )  # fmt: skip
    return output, *torch.autograd.grad(output, (query, key), upstream)


def on_a_gpu(query, key, upstream, key_mask, options):
    query, key = (part.detach().cuda().requires_grad_() for part in (query, key))
    mask = None if key_mask is None else key_mask.cuda()
    return [part.cpu() for part in by_dispatcher(query, key, upstream.cuda(), mask, options)]


WAYS = {"shift": by_shift_form, "cpu": by_dispatcher, "cuda": on_a_gpu}


@pytest.fixture(params=["shift", "cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def way(request):
    if not backends()[request.param]:
        pytest.skip(f"no binary with {request.param} kernels")
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return WAYS[request.param]


def draw(size, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, *size, dtype=torch.float64, generator=generator)
    mask = torch.rand(size[0], 1, *size[2:], generator=generator) > 0.4
    query, key, upstream = maps.to(dtype).unbind()
    return query.requires_grad_(), key.requires_grad_(), upstream, mask


def assert_equal(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        scale = other.abs().max().clamp(min=1.0).item() if other.numel() else 1.0
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance * scale)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    if request.param == "cuda" and not (backends()["cuda"] and torch.cuda.is_available()):
        pytest.skip("no GPU, or no binary with cuda kernels")
    return request.param


@pytest.mark.parametrize(
    "size", [(2, 5, 6, 4), (1, 3, 1, 5), (2, 3, 5, 1), (0, 3, 4, 4), (2, 3, 9, 7)]
)
def test_equals_the_definition_in_double_precision(way, size):
    query, key, upstream, mask = draw(size)
    for patch_size, overlap, allowed in itertools.product(
        (1, 3, 5), (True, False), (None, mask, torch.zeros_like(mask))
    ):
        arguments = (query, key, upstream, allowed, (patch_size, 3.0, overlap))
        assert_equal(way(*arguments), by_definition(*arguments), 1e-11)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 2e-2)],
)
def test_equals_the_definition_at_real_size(way, dtype, tolerance):
    query, key, upstream, mask = draw((2, 256, 32, 16), dtype)
    exact = [part.detach().double().requires_grad_() for part in (query, key)]
    options = (3, 10.0, True)
    found = way(query, key, upstream, mask, options)
    assert_equal(found, by_definition(*exact, upstream.double(), mask, options), tolerance)


def test_memory_may_lie_in_any_order(way):
    query, key, upstream, mask = draw((2, 4, 5, 6))
    options = (3, 2.0, True)
    expected = by_definition(query, key, upstream, mask, options)
    turned = [
        part.detach().to(memory_format=torch.channels_last).requires_grad_()
        for part in (query, key)
    ]
    strided = upstream.transpose(2, 3).contiguous().transpose(2, 3)
    assert_equal(way(*turned, strided, mask, options), expected, 1e-11)


@pytest.mark.parametrize("scale", [2550.0, -2550.0])
def test_a_large_scale_stays_finite(way, scale):
    query, key, upstream, _ = draw((1, 4, 6, 5), torch.float32)
    found = way(query, key, upstream, None, (3, scale, True))
    assert all(part.isfinite().all() for part in found)
    expected = by_definition(query, key, upstream, None, (3, scale, True))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-2, atol=1e-2)


def test_gradients_are_those_of_differences(device):
    query, key, _, mask = draw((2, 3, 4, 3))
    query, key = (part.detach().to(device).requires_grad_() for part in (query, key))
    for overlap in (True, False):
        assert torch.autograd.gradcheck(
            lambda q, k, o=overlap: OPERATOR(q, k, mask.to(device), 3, 2.0, o)[0], (query, key)
        )


def test_the_dispatcher_is_told_the_truth(device):
    query, key, _, mask = draw((2, 3, 4, 3), torch.float32)
    query, key = (part.detach().to(device).requires_grad_() for part in (query, key))
    opcheck(OPERATOR, (query, key, mask.to(device), 3, 2.0, True))
    opcheck(OPERATOR, (query.detach(), key.detach(), None, 3, 2.0, False))


def test_autocast_brings_mixed_types_together():
    query, key, _, _ = draw((1, 3, 4, 3), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = patch_attention(query, key.bfloat16())
    assert torch.equal(found, patch_attention(query.bfloat16(), key.bfloat16()))
    found.sum().backward()
    assert query.grad.dtype == torch.float32
    with pytest.raises(ValueError, match=r"torch\.float32 and key with torch\.bfloat16"):
        patch_attention(query, key.bfloat16())


def test_graphs_take_it_whole():
    query, key, _, _ = draw((1, 3, 4, 3), torch.float32)
    compiled = torch.compile(patch_attention, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(query, key), patch_attention(query, key))
