"""Measures what RFCnet's blocks cost over the papers' baseline, beside Tables 8 and 9.

    python tools/benchmarks/rfcnet.py --json overhead.json

Both models take turns in one process, so that whatever else the machine does meets both; shown are
medians and their ratios. Frames are random: time does not depend on what they show.
"""

import argparse

import torch

from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model
from torchreid_occ.utils.complexity import count_gmacs, count_parameters
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.timing import median_seconds

IDENTITIES = 100
KEYS = ("parameters", "gmacs", "training_seconds", "inference_seconds")
CRITERIA = {"baseline": "identity", "rfcnet": "rfcnet"}
# Percent over the baseline: parameters, GMACs, training time, inference time.
TABLES = {
    "Table 8, images": (1, {"arrangement": "S"}, (8.9, 6.9, 8.3, 8.2)),
    "Table 9, clips of 4 frames": (4, {}, (14.5, 13.7, 16.0, 24.0)),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="frames in a batch")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    found = {name: measure(*table[:2], arguments) for name, table in TABLES.items()}
    print("| | over the baseline | parameters | GMACs | training | inference |")
    print("|---|---|---|---|---|---|")
    for name, (_, _, paper) in TABLES.items():
        ratios = [found[name]["rfcnet"][key] / found[name]["baseline"][key] for key in KEYS]
        print(f"| {name} | paper | {' | '.join(f'{percent} %' for percent in paper)} |")
        print(f"| | measured | {' | '.join(f'{100 * (r - 1):.1f} %' for r in ratios)} |")
    if arguments.json:
        use_gpu = torch.cuda.is_available()
        write_json(
            arguments.json,
            {
                **{"options": vars(arguments), "tables": found},
                **{"hardware": hardware(use_gpu), "versions": versions()},
            },
        )


def measure(num_frames, options, arguments):
    """Size, work and median times of both models on one batch. Returns `{model: {key: value}}`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = arguments.height, arguments.width
    clips = torch.rand(arguments.frames // num_frames, num_frames, 3, *size, device=device)
    batch = {
        "pid": torch.arange(len(clips), device=device) % IDENTITIES,
        "keypoints": torch.rand(*clips.shape[:2], 4, device=device),
        "foreground": torch.rand(*clips.shape[:2], 1, *size, device=device),
    }
    steps, found = {}, {}
    for name, criterion in CRITERIA.items():
        own = options if name == "rfcnet" else {}
        model = build_model(name, IDENTITIES, False, *size, backbone=arguments.backbone, **own)
        model = model.to(device, memory_format=torch.channels_last)
        loss = build_criterion(criterion, IDENTITIES).to(device)
        steps[name] = _steps(model, loss, clips, batch)
        found[name] = {
            "parameters": count_parameters(model),
            "gmacs": count_gmacs(model, clips[:1]),
        }
    for key in KEYS[2:]:
        runs = {name: own[key] for name, own in steps.items()}
        for name, seconds in median_seconds(runs, arguments.repeats, key).items():
            found[name][key] = seconds
    return found


def _steps(model, criterion, clips, batch):
    optimizer = torch.optim.Adam(model.parameters())

    def train():
        model.train()
        optimizer.zero_grad()
        criterion(model(clips), batch)["loss"].backward()
        optimizer.step()

    @torch.no_grad()
    def infer():
        model.eval()(clips)

    return {"training_seconds": train, "inference_seconds": infer}


if __name__ == "__main__":
    main()
