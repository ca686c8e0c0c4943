"""Patch attention against other ways to compute it, and against what the machine can do."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from gpu_parts.clock import free_memory, matrix_precision, median_seconds, peak_mebibytes
from gpu_parts.day import Day, Save
from torchreid_occ.ops import patch_attention, patch_attention_reference, shift_form

Way = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
SCALE = 10.0
SIZES = {"32x16, batch 32": (32, 256, 32, 16), "64x32, batch 8": (8, 256, 64, 32)}
TINY_SIZES = {"6x4, batch 2": (2, 8, 6, 4)}
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "tf32": torch.float32,
    "float16": torch.float16,
}
TINY_DTYPES = ("float32", "bfloat16")
COMPILED_DTYPES = ("float32", "bfloat16")  # a form takes ten seconds to compile for each size
PASSES = ("forward", "with gradients")
# Products of a matrix of pairs with one of columns: two forward, four more for the gradients.
PRODUCTS = {"forward": 2, "with gradients": 6}
# Maps that are read or written at least: query, key, output; then upstream and two gradients.
MAPS = {"forward": 3, "with gradients": 6}
DRAWS = 3  # sets of inputs that calls take in turns


def operator(day: Day, save: Save) -> None:
    """Measures seconds, memory and error of each way at each size and precision.

    ``over_roofline`` is how many times longer a way takes than the machine's measured rates of
    matrix products and copies allow.
    """
    rates = {name: _matrix_rate(day, name) for name in _dtypes(day)}
    copy = _copy_rate(day)
    found: dict[str, Any] = {"flops_per_second": rates, "bytes_per_second": copy, "rows": []}
    save(found)
    sizes = TINY_SIZES if day.tiny else SIZES
    cases = [(title, name) for name in _dtypes(day) for title in sizes]
    for compiled in (False, True):  # what has to be compiled first comes last
        for title, name in cases:
            if compiled and name not in (COMPILED_DTYPES[:1] if day.tiny else COMPILED_DTYPES):
                continue
            ways = _compiled_ways() if compiled else _ways()
            for way, function in ways.items():
                if day.seconds_left() < (30 if compiled and not day.tiny else 5):
                    found["rows"].append({"size": title, "precision": name, "left_out": way})
                    save(found)
                    continue
                row = _measure(day, function, sizes[title], name, rates[name], copy)
                found["rows"].append({"size": title, "precision": name, "way": way, **row})
                save(found)
    _add_ratios(found["rows"])
    save(found)


def attention_on_patches(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Computes the operator by PyTorch's scaled_dot_product_attention on unfolded 3x3 patches."""
    patches = [F.unfold(maps, 3, padding=1).transpose(1, 2)[:, None] for maps in (query, key)]
    one, other = (F.normalize(part, dim=3) for part in patches)
    attended = F.scaled_dot_product_attention(one, other, patches[1], scale=SCALE)
    size = query.shape[-2:]
    pasted = F.fold(attended[:, 0].transpose(1, 2), size, 3, padding=1)
    ones = F.unfold(query.new_ones(1, 1, *size), 3, padding=1)
    return pasted / F.fold(ones, size, 3, padding=1)


def _shift_way(attend: Callable, differentiate: Callable) -> Way:
    """The form in plain PyTorch with its own gradient, without the dispatcher."""

    class ShiftForm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            output, log_sum = attend(query, key, None, 3, SCALE, True)
            ctx.save_for_backward(query, key, log_sum)
            return output

        @staticmethod
        def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            query, key, log_sum = ctx.saved_tensors
            return differentiate(upstream, query, key, None, log_sum, 3, SCALE, True)

    return ShiftForm.apply


def _ways() -> dict[str, Way]:
    return {
        "operator": lambda query, key: patch_attention(query, key, scale=SCALE),
        "unfold": lambda query, key: patch_attention_reference(query, key, scale=SCALE),
        "sdpa on patches": attention_on_patches,
        "shift form": _shift_way(shift_form.forward, shift_form.backward),
    }


def _compiled_ways() -> dict[str, Way]:
    torch._dynamo.reset()
    parts = (shift_form.forward, shift_form.backward)
    return {"compiled shift form": _shift_way(*(torch.compile(f, dynamic=False) for f in parts))}


def _dtypes(day: Day) -> list[str]:
    return list(TINY_DTYPES) if day.tiny else list(DTYPES)


def _measure(
    day: Day, way: Way, size: tuple[int, ...], name: str, flops: float, copy: float
) -> dict[str, Any]:
    """Numbers of one way in one precision at one size, or why it does not run."""
    dtype = DTYPES[name]
    draws = [torch.randn(3, *size, device=day.device).to(dtype) for _ in range(DRAWS)]
    row: dict[str, Any] = {}
    rounds = 1 if day.device == "cpu" else 7
    with matrix_precision(name):
        try:
            row["error"] = _relative_error(way, *draws[0][:2])
            for what in PASSES:
                step = _step(way, draws, what == "with gradients")
                seconds = median_seconds(step, day.device, rounds)
                floor = _roofline(size, dtype, what, flops, copy)
                memory = peak_mebibytes(step, day.device)
                row[what] = {
                    "seconds": seconds,
                    "over_roofline": seconds / floor,
                    "peak_mebibytes": memory,
                }
        except RuntimeError as error:  # out of memory, or a kernel that takes no such size
            row["failed"] = str(error)[-500:]
    del draws
    free_memory(day.device)
    return row


def _relative_error(way: Way, query: torch.Tensor, key: torch.Tensor) -> float:
    """Distance of a way's output from the definition in double precision, over its norm."""
    exact = patch_attention_reference(query.double(), key.double(), scale=SCALE)
    with torch.no_grad():
        found = way(query, key)
    return ((found.double() - exact).norm() / exact.norm()).item()


def _step(way: Way, draws: list[torch.Tensor], train: bool) -> Callable[[], None]:
    """One pass, and back where it trains; inputs take turns."""
    sets = [[part.detach() for part in maps.unbind()] for maps in draws]
    for query, key, _ in sets:
        query.requires_grad_(train)
        key.requires_grad_(train)
    calls = 0

    def run() -> None:
        nonlocal calls
        query, key, upstream = sets[calls % len(sets)]
        calls += 1
        with torch.set_grad_enabled(train):
            output = way(query, key)
        if train:
            torch.autograd.grad(output, (query, key), upstream)

    return run


def _roofline(
    size: tuple[int, ...], dtype: torch.dtype, what: str, flops: float, copy: float
) -> float:
    """Least seconds: operations over the rate of matrix products, bytes over that of copies."""
    batch, channels, height, width = size
    positions = height * width
    operations = PRODUCTS[what] * 2 * batch * channels * positions**2
    volume = MAPS[what] * batch * channels * positions * dtype.itemsize
    return max(operations / flops, volume / copy)


def _matrix_rate(day: Day, name: str) -> float:
    """Operations a second of a large matrix product on random numbers."""
    side = 8192 if day.use_gpu else 128
    one, other = torch.randn(2, side, side, device=day.device).to(DTYPES[name]).unbind()
    with matrix_precision(name):
        seconds = median_seconds(lambda: one @ other, day.device, 3)
    return 2 * side**3 / seconds


def _copy_rate(day: Day) -> float:
    """Bytes a second, read and written, of a large copy."""
    source = torch.randn(2**28 if day.use_gpu else 2**16, device=day.device)
    target = torch.empty_like(source)
    seconds = median_seconds(lambda: target.copy_(source), day.device, 3)
    return 2 * source.numel() * source.element_size() / seconds


def _add_ratios(rows: list[dict[str, Any]]) -> None:
    """Adds to each row of the operator how many times longer the other ways take."""
    for row in rows:
        if row.get("way") != "operator":
            continue
        same = [r for r in rows if (r["size"], r["precision"]) == (row["size"], row["precision"])]
        row["times_faster_than"] = {
            what: {
                other["way"]: other[what]["seconds"] / row[what]["seconds"]
                for other in same
                if what in row and what in other and other is not row
            }
            for what in PASSES
        }
