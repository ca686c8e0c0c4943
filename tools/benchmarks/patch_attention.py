"""Measures patch attention against its definition by unfolded patches.

    python tools/benchmarks/patch_attention.py --json patch_attention.json

The operator, its form in plain PyTorch and the definition take turns in one process, so that
whatever else the machine does meets all of them; shown are medians and how many times longer the
definition takes. Peak memory beyond the maps is read in a process of its own for each.
"""

import argparse
import multiprocessing

import torch

from torchreid_occ.ops import backends, patch_attention, patch_attention_reference, shift_form
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.memory import added_mebibytes
from torchreid_occ.utils.timing import median_seconds

SIZES = {"32x16, batch 32": (32, 256, 32, 16), "64x32, batch 8": (8, 256, 64, 32)}


class ShiftForm(torch.autograd.Function):
    """The plain form, without the dispatcher that prefers a binary."""

    @staticmethod
    def forward(ctx, query, key):
        """Rebuilds the query's map."""
        output, log_sum = shift_form.forward(query, key, None, 3, 1.0, True)
        ctx.save_for_backward(query, key, log_sum)
        return output

    @staticmethod
    def backward(ctx, upstream):
        """Gradients with respect to both maps."""
        query, key, log_sum = ctx.saved_tensors
        return shift_form.backward(upstream, query, key, None, log_sum, 3, 1.0, True)


WAYS = {
    "operator": patch_attention,
    "plain PyTorch": ShiftForm.apply,
    "definition": patch_attention_reference,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    print(f"backends: {backends()}")
    print("| maps | way | forward (s) | with gradients (s) | memory (MiB) |\n|---|---|---|---|---|")
    found = {}
    for title, size in SIZES.items():
        found[title] = measure(title, size, arguments)
        slowest = found[title]["definition"]
        for way, numbers in found[title].items():
            cells = [f"{n:.3f} ({slowest[c] / n:.1f}x)" for c, n in numbers.items()]
            print(f"| {title} | {way} | {' | '.join(cells)} |")
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions(), "backends": backends()}
        write_json(arguments.json, {"options": vars(arguments), "measured": found, **about})


def measure(title, size, arguments):
    """Medians and peak memory of each way."""
    maps = draw(size, arguments.dtype)
    seconds = {}
    for name, train in {"forward": False, "with gradients": True}.items():
        steps = {way: step(function, maps, train) for way, function in WAYS.items()}
        seconds[name] = median_seconds(steps, arguments.repeats, f"{title}, {name}")
    spawn = multiprocessing.get_context("spawn")
    memory = {}
    for way in WAYS:
        with spawn.Pool(1) as pool:
            memory[way] = pool.apply(peak_mebibytes, (way, size, arguments.dtype))
    return {
        way: {**{name: times[way] for name, times in seconds.items()}, "memory": memory[way]}
        for way in WAYS
    }


def draw(size, dtype):
    """Two random maps: time does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, *size, generator=generator).to(getattr(torch, dtype))
    return [part.requires_grad_() for part in maps.unbind()]


def step(function, maps, train):
    """One pass, and back where it is to train."""

    def run():
        with torch.set_grad_enabled(train):
            result = function(*maps)
        if train:
            torch.autograd.grad(result, maps, torch.ones_like(result))

    return run


def peak_mebibytes(way, size, dtype):
    """By how much one training pass raises the memory of a process that a small one warmed up."""
    step(WAYS[way], draw((1, *size[1:]), dtype), True)()
    run = step(WAYS[way], draw(size, dtype), True)
    return added_mebibytes(run)


if __name__ == "__main__":
    main()
