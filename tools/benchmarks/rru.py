"""Measures what the refining recurrent unit saves by computing the motion term of all frames ahead.

    python tools/benchmarks/rru.py --json recurrence.json

The unit and the plain loop over Eq. 1 to 5, with the same weights, take turns in one process, so
that whatever else the machine does meets both; shown are medians and their ratio. Maps are random:
time does not depend on what they show.
"""

import argparse

import torch

from torchreid_occ.models.layers.rru import RRU
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.timing import median_seconds

SIZE = (2048, 8, 8)  # of Inception-v3's last maps at 299x299


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracklets", type=int, default=20, metavar="N", help="in a batch")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="of each")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unit = RRU(*SIZE).to(device)
    maps = torch.rand(arguments.tracklets, arguments.frames, *SIZE, device=device)
    ways = {"unit": lambda maps: unit(maps)[0], "plain loop": lambda maps: plain_loop(unit, maps)}
    check_equal(unit, maps, ways)
    found = {}
    for name, train in {"inference": False, "training": True}.items():
        unit.train(train)
        steps = {way: step(run, maps.requires_grad_(train), train) for way, run in ways.items()}
        found[name] = median_seconds(steps, arguments.repeats, name)
        seconds, plain = found[name]["unit"], found[name]["plain loop"]
        print(f"{name}: {seconds:.3f} s, plain loop {plain:.3f} s, ratio {plain / seconds:.2f}")
    if arguments.json:
        about = {"hardware": hardware(device.type == "cuda"), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "seconds": found, **about})


def plain_loop(unit, maps):
    """Eq. 1 to 5 step by step, on joined inputs."""
    before, refined, results = maps[:, 0], maps[:, 0], []
    for frame in maps.unbind(1):
        read = torch.cat((frame - refined, frame - before), dim=1)
        hidden = torch.relu(unit.bn(unit.transition(read)))
        places = unit.spatial(hidden.mean(1).flatten(1)).view(-1, 1, *SIZE[1:])
        channels = unit.channel(hidden.mean((2, 3)))[..., None, None]
        gate = torch.sigmoid(places * channels)
        refined, before = (1 - gate) * refined + gate * frame, frame
        results.append(refined)
    return torch.stack(results, dim=1)


@torch.no_grad()
def check_equal(unit, maps, ways):
    """Two ways that differ would make the ratio meaningless."""
    unit.eval()
    first, second = (way(maps[:2]) for way in ways.values())
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)


def step(way, maps, train):
    """One pass through a way, and back where it is to train."""

    def run():
        with torch.set_grad_enabled(train):
            result = way(maps)
        if train:
            result.sum().backward()

    return run


if __name__ == "__main__":
    main()
