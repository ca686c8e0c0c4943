"""Times training steps alone and beside busy processes, for each way in which threads may wait.

    python tools/benchmarks/shared_cores.py --json shared_cores.json

Each run is a process of its own with two threads: OpenMP reads its settings when it is loaded. Runs
of all settings take turns, first alone, then beside as many endless loops of equal priority as
there are cores. Shown are the median and the slowest run; the machine must be idle otherwise.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from torchreid_occ.cli.cores import NAMES, SPINS
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.progress import progress

SETTINGS = {
    "torch's default": {},
    "torchreid-occ": {"GOMP_SPINCOUNT": SPINS},
    "sleeping at once": {"OMP_WAIT_POLICY": "PASSIVE"},
}
# Ends with its parent, however that ends.
LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(10_000_000):
        pass
"""
STEP = """
import time, torch
from torchreid_occ.models import build_model
torch.set_num_threads(2)
torch.manual_seed(0)
model = build_model("baseline", 16, False, 64, 32, backbone="resnet18_x0_5").train()
clips = torch.rand(12, 4, 3, 64, 32)
def step():
    model.zero_grad()
    model(clips).logits.logsumexp(1).mean().backward()
for _ in range(3):
    step()
start = time.perf_counter()
for _ in range({steps}):
    step()
print((time.perf_counter() - start) / {steps})
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="of each setting")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="of a run")
    parser.add_argument(
        "--settings", nargs="+", default=[*SETTINGS], choices=[*SETTINGS], metavar="NAME"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    found = {
        "alone": timed(arguments, busy=0),
        "beside busy processes": timed(arguments, busy=os.cpu_count() or 1),
    }
    for place, settings in found.items():
        for name, seconds in settings.items():
            print(
                f"{place}, {name}: median {statistics.median(seconds):.3f} s a step, "
                f"slowest run {max(seconds):.3f} s"
            )
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "seconds": found, **about})


def timed(arguments, busy):
    """Seconds of a step in each run of each setting."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(busy)]
    seconds = {name: [] for name in arguments.settings}
    try:
        time.sleep(1)
        for _ in progress(range(arguments.runs), f"beside {busy} processes", unit="round"):
            for name in arguments.settings:
                seconds[name].append(run(SETTINGS[name], arguments.steps))
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    return seconds


def run(setting, steps):
    """Seconds of a step in a new process."""
    environ = {name: value for name, value in os.environ.items() if name not in NAMES}
    environ.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", STEP.format(steps=steps)],
        env={**environ, **setting}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


if __name__ == "__main__":
    main()
