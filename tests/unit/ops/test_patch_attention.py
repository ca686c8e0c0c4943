import itertools

import pytest
import torch

from torchreid_occ.ops import patch_attention, patch_attention_reference
from torchreid_occ.ops.shift_form import diagonal_box_sum

SIZES = [(2, 5, 6, 4), (1, 3, 1, 5), (2, 3, 5, 1), (0, 3, 4, 4), (1, 2, 2, 2)]


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_reference_with_its_gradients(size):
    generator = torch.Generator().manual_seed(0)

    def draw():
        return torch.randn(size, dtype=torch.float64, generator=generator)

    for patch_size, aggregate, masked in itertools.product(
        (1, 3, 5), ("overlap", "center"), (False, True)
    ):
        maps = [draw().requires_grad_() for _ in range(2)]
        batch, _, height, width = size
        mask = torch.rand(batch, 1, height, width, generator=generator) > 0.4 if masked else None
        options = {"patch_size": patch_size, "scale": 3.0, "aggregate": aggregate, "key_mask": mask}
        upstream = draw()
        results = []
        for function in (patch_attention, patch_attention_reference):
            output = function(*maps, **options)
            results.append((output, *torch.autograd.grad(output, maps, upstream)))
        for found, expected in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_constant_maps_come_back_and_weights_sum_to_one():
    maps = torch.full((1, 3, 5, 4), 2.0, dtype=torch.float64)
    query = torch.randn(1, 3, 5, 4, dtype=torch.float64)
    center = patch_attention(query, maps, aggregate="center")
    torch.testing.assert_close(center, maps)


def test_a_strong_scale_copies_the_best_match():
    key = torch.randn(1, 8, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shifted = key.roll(1, dims=3)
    found = patch_attention(shifted, key, scale=1e4, aggregate="center")
    inner = (slice(None), slice(None), slice(1, -1), slice(2, -1))
    torch.testing.assert_close(found[inner], shifted[inner])


def test_masked_keys_count_for_nothing_and_no_keys_give_zero():
    generator = torch.Generator().manual_seed(2)
    query, key = torch.randn(2, 1, 3, 4, 4, generator=generator)
    mask = torch.rand(1, 1, 4, 4, generator=generator) > 0.5
    altered = torch.where(mask, key, key + 1)
    options = {"patch_size": 1, "aggregate": "center", "key_mask": mask}
    found = [patch_attention(query, maps, **options) for maps in (key, altered)]
    torch.testing.assert_close(*found)
    key.requires_grad_()
    nothing = patch_attention(query, key, key_mask=torch.zeros_like(mask))
    assert torch.equal(nothing, torch.zeros_like(key))
    nothing.sum().backward()
    assert torch.equal(key.grad, torch.zeros_like(key))


def test_zero_patches_are_similar_to_none():
    query = torch.zeros(1, 2, 3, 3, requires_grad=True)
    key = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(3))
    found = patch_attention(query, key, aggregate="center", scale=10.0)
    torch.testing.assert_close(found, key.mean((2, 3), keepdim=True).expand_as(key))
    found.sum().backward()
    assert query.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    generator = torch.Generator().manual_seed(5)
    maps = [
        part.to(dtype).requires_grad_() for part in torch.randn(2, 2, 8, 6, 4, generator=generator)
    ]
    found = patch_attention(*maps, scale=10.0)
    assert found.dtype == dtype
    found.sum().backward()
    exact = [part.detach().float().requires_grad_() for part in maps]
    expected = patch_attention(*exact, scale=10.0)
    expected.sum().backward()
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1e-2)
    for part, truth in zip(maps, exact, strict=True):
        torch.testing.assert_close(part.grad.float(), truth.grad, rtol=1e-2, atol=1e-2)


def test_diagonal_box_sum_is_self_adjoint():
    generator = torch.Generator().manual_seed(4)
    first, second = torch.randn(2, 3, 20, 20, dtype=torch.float64, generator=generator)
    one = (diagonal_box_sum(first, (5, 4), 3) * second).sum()
    other = (first * diagonal_box_sum(second, (5, 4), 3)).sum()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": torch.ones(3, 4, 4)}, r"query \(3, 4, 4\)"),
        ({"key": torch.ones(1, 3, 4, 5)}, "two maps of one shape"),
        ({"key": torch.ones(1, 3, 4, 4, dtype=torch.float64)}, r"torch\.float64"),
        ({"key": torch.ones(1, 3, 4, 4, device="meta")}, "device"),
        ({"patch_size": 2}, "an odd number"),
        ({"patch_size": 0}, "an odd number"),
        ({"scale": float("nan")}, "a finite number"),
        ({"aggregate": "mean"}, "'overlap', 'center'"),
        ({"key_mask": torch.ones(1, 1, 4, 4)}, r"torch\.bool"),
        ({"key_mask": torch.ones(1, 1, 4, 5, dtype=torch.bool)}, r"\(1, 1, 4, 4\)"),
    ],
)
def test_errors_say_what_is_allowed(changes, message):
    arguments = {"query": torch.ones(1, 3, 4, 4), "key": torch.ones(1, 3, 4, 4)} | changes
    query, key = arguments.pop("query"), arguments.pop("key")
    for function in (patch_attention, patch_attention_reference):
        with pytest.raises(ValueError, match=message):
            function(query, key, **arguments)
