"""Fuzzes all readers of files and kills long work, as often as asked.

    python tests/nightly/run.py fuzz --count 10000 --seed 1 --json fuzz.json
    python tests/nightly/run.py kills --count 50 --seed 1 --json kills.json

`fuzz` feeds every reader with malformed files; each must be read correctly or refused by an error
that names the file. `kills` interrupts long work at random points and continues it; the results
must equal those of uninterrupted work. Both end with status 1 if anything failed.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from nightly.fuzzing import fuzz as feed
from nightly.jobs import make_jobs
from nightly.killing import kill_repeatedly
from nightly.readers import READERS
from nightly.sandbox import READ, REFUSED
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.tables import markdown_header, markdown_row


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for run, count in ((fuzz, 10_000), (kills, 50)):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.add_argument("--count", type=int, default=count, metavar="N", help="in all")
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--only", nargs="+", metavar="NAME", help="these readers or jobs")
        command.add_argument("--json", metavar="FILE", help="write the numbers there, too")
        command.set_defaults(run=run)
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)  # a forked process would wait for threads it does not have
    measured, sound = parsed.run(parsed)
    if parsed.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(parsed.json, {"seed": parsed.seed, "measured": measured, **about})
    if not sound:
        sys.exit("error: something failed, see above.")


def fuzz(arguments):
    """Feeds readers with malformed files."""
    measured, failures = {}, {}
    print(markdown_header(("reader", "inputs", "read", "refused", "failed", "seconds")))
    for name, count in shares(arguments, READERS):
        outcomes, seconds, failures[name] = feed(name, count, arguments.seed)
        fed = sum(outcomes.values())
        read, refused = outcomes.get(READ, 0), outcomes.get(REFUSED, 0)
        row = (name, fed, read, refused, fed - read - refused, f"{seconds:.0f}")
        print(markdown_row(row), flush=True)
        measured[name] = {"inputs": fed, "seconds": round(seconds, 1), "outcomes": outcomes}
    for name, found in failures.items():
        for failure, content in found.items():
            print(f"{name}: {failure}: {content[:200]!r} ({len(content)} bytes)")
        measured[name]["failures"] = [*found]
    return measured, not any(failures.values())


def kills(arguments):
    """Kills long work and continues it."""
    measured = {}
    with tempfile.TemporaryDirectory(prefix="hard-use-") as folder:
        Path(folder, "inputs").mkdir()
        jobs = make_jobs(Path(folder, "inputs"))
        titles = ("work", "kills", "before a change of a file", "completions", "faults")
        print(markdown_header(titles))
        for name, count in shares(arguments, jobs):
            Path(folder, name).mkdir()
            report = kill_repeatedly(jobs[name], Path(folder, name), count, arguments.seed)
            measured[name] = {**report._asdict(), "faults": dict(Counter(report.faults))}
            print(markdown_row((name, *report[:3], len(report.faults))), flush=True)
    for name, report in measured.items():
        for fault, times in report["faults"].items():
            print(f"{name}: {fault} ({times} times)")
    return measured, not any(report["faults"] for report in measured.values())


def shares(arguments, names):
    """Returns each name with its share of the count; the shares add up to the count."""
    unknown = sorted(set(arguments.only or ()) - names.keys())
    if unknown:
        sys.exit(f"error: there is no {unknown}, but {[*names]}.")
    chosen = arguments.only or [*names]
    whole, rest = divmod(arguments.count, len(chosen))
    return [(name, whole + (place < rest)) for place, name in enumerate(chosen)]


if __name__ == "__main__":
    main()
