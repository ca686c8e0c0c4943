"""Measures training steps with weights laid out channels last against the default layout.

    python tools/benchmarks/channels_last.py --backbones efficientnet_lite0 resnet50

Both take turns on the same random frames; shown are medians and their ratio, which says how many
times longer the default layout takes.
"""

import argparse
import copy

import torch

from torchreid_occ.models.backbones import build_backbone
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.utils.tables import markdown_table
from torchreid_occ.utils.timing import median_seconds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"], metavar="NAME")
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--frames", type=int, default=96, metavar="N", help="frames in a batch")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    found = {name: measure(name, arguments) for name in arguments.backbones}
    titles = ("backbone", "channels last, s", "default, s", "ratio")
    rows = [
        [name, f"{own['last']:.2f}", f"{own['default']:.2f}", f"{own['default'] / own['last']:.2f}"]
        for name, own in found.items()
    ]
    print(markdown_table(titles, rows))
    if arguments.json:
        about = {"hardware": hardware(torch.cuda.is_available()), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "seconds": found, **about})


def measure(name, arguments):
    """Median seconds of a training step with channels last, and with the default layout."""
    default = build_backbone(name).train()
    last = copy.deepcopy(default)
    lay_out_channels_last(last)
    frames = torch.rand(arguments.frames, 3, arguments.height, arguments.width)
    if torch.cuda.is_available():
        default, last, frames = default.cuda(), last.cuda(), frames.cuda()

    def step(model):
        return lambda: model(frames).mean().backward()

    return median_seconds({"last": step(last), "default": step(default)}, arguments.repeats, name)


if __name__ == "__main__":
    main()
