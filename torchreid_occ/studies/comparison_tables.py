"""What a comparison came to: one summary, as Markdown, CSV and JSON, and by occlusion label."""

import csv
import io
import statistics
from functools import cache

import numpy as np
from scipy.stats import t as student

from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.occwalk import OccWalk
from torchreid_occ.occwalk.stats import query_labels

RANKS = (1, 5, 10)
CONFIDENCE = 0.95


def summarise(runs, frames_per_second):
    """A row for each target and model, with means over seeds.

    Rows of a seed share its data, so that their difference says more than their spreads: what a
    row gains over the first, seed by seed, has an interval of its own.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison.run_suite`.
        frames_per_second: By row, from :mod:`torchreid_occ.studies.comparison_speed`.

    Returns:
        A list of dicts. What was measured with each seed is ``{"mean", "interval", "values"}``,
        see :func:`interval`; shares of one, not percent.
    """
    first = next(iter(runs.values()))
    rows = []
    for target in _targets(runs):
        for model, seeds in _tested_on(target, runs):
            results = [run["targets"][target]["last"] for run in seeds]
            found = {"mAP": [result["mAP"] for result in results]}
            found |= {f"rank-{rank}": [r["cmc"][rank] for r in results] for rank in RANKS}
            if seeds is not first and target in first[0]["targets"]:
                others = [run["targets"][target]["last"]["mAP"] for run in first]
                found["gain"] = [a - b for a, b in zip(found["mAP"], others, strict=True)]
            cost = seeds[0]["cost"]
            rows.append(
                {
                    "tested on": target,
                    "model": model,
                    **{name: _with_interval(values) for name, values in found.items()},
                    "parameters": cost["parameters"],
                    "gmacs_per_clip": cost["gmacs_per_clip"],
                    "training_seconds": statistics.mean(run["seconds"] for run in seeds),
                    "frames_per_second": frames_per_second[model],
                }
            )
    return rows


def interval(values):
    """Half the width of the 95 % confidence interval of a mean, by Student's t; None for one value.

    Args:
        values: One for each seed.
    """
    if len(values) < 2:
        return None
    quantile = student.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)
    return float(quantile * statistics.stdev(values) / len(values) ** 0.5)


def markdown_table(summary):
    """The summary as a Markdown table, in percent.

    Args:
        summary: From :func:`summarise`.
    """
    first = summary[0]["model"]
    heads = ["tested on", "model", "mAP", f"over {first}", *(f"rank-{rank}" for rank in RANKS)]
    heads += ["parameters", "GMACs a clip", "training, s", "frames/s"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in summary:
        cells = [row["tested on"], row["model"], _percent(row["mAP"])]
        cells += [_percent(row["gain"], "+") if "gain" in row else ""]
        cells += [_percent(row[f"rank-{rank}"]) for rank in RANKS]
        cells += [f"{row['parameters'] / 1e6:.2f} M", f"{row['gmacs_per_clip']:.2f}"]
        cells += [f"{row['training_seconds']:.0f}", f"{row['frames_per_second']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def csv_table(summary):
    """The summary as CSV: a column for each number, mean, interval and values of each seed.

    Args:
        summary: From :func:`summarise`.
    """
    flat = []
    for row in summary:
        own = {}
        for name, value in row.items():
            if not isinstance(value, dict):
                own[name] = value
                continue
            own[name], own[f"{name} interval"] = value["mean"], value["interval"]
            own |= {f"{name} {number}": one for number, one in enumerate(value["values"], start=1)}
        flat.append(own)
    columns = dict.fromkeys(name for own in flat for name in own)
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def by_label(runs, root):
    """Mean average precision by how much of the query's person is hidden, over all seeds.

    The label of a query tracklet is the paper's (RFCnet, Section 5.2, note 3) for the mean over
    its frames: n stands for more than (n - 1) and at most n tenths.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison.run_suite`.
        root: Folder that holds the datasets.

    Returns:
        ``{target: {model: {label: (mAP, number of queries)}}}`` for the targets that are renderings
        of OccWalk.
    """

    @cache  # rows of a seed share it
    def labels_of(target, split):
        return query_labels(load_dataset(target, root, split).dataset_dir)

    found = {}
    for target in _targets(runs):
        if not issubclass(dataset_class(target), OccWalk):
            continue
        for model, seeds in _tested_on(target, runs):
            splits = [run["config"]["data"]["split_id"] for run in seeds]
            labels = np.concatenate([labels_of(target, split) for split in splits])
            each = [run["targets"][target]["last"]["average_precisions"] for run in seeds]
            precisions = np.concatenate([*map(np.array, each)]).astype(float)
            found.setdefault(target, {})[model] = {
                int(label): (float(np.nanmean(precisions[labels == label])), int(count))
                for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
            }
    return found


def label_table(labels):
    """What :func:`by_label` found as a Markdown table, in percent; no text without any.

    Args:
        labels: From :func:`by_label`.
    """
    lines = []
    for target, models in labels.items():
        for model, found in models.items():
            if not lines:
                heads = (f"{label} ({count})" for label, (_, count) in found.items())
                lines += [f"| tested on | model | {' | '.join(heads)} |"]
                lines += ["|---|---|" + "---|" * len(found)]
            cells = (f"{100 * mean:.1f}" for mean, _ in found.values())
            lines.append(f"| {target} | {model} | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


def _targets(runs):
    """All that any row was tested on, in order."""
    return [*dict.fromkeys(target for seeds in runs.values() for target in seeds[0]["targets"])]


def _tested_on(target, runs):
    """The rows that were tested on a target, with their seeds."""
    return [(row, seeds) for row, seeds in runs.items() if target in seeds[0]["targets"]]


def _with_interval(values):
    return {"mean": statistics.mean(values), "interval": interval(values), "values": values}


def _percent(found, sign=""):
    spread = "" if found["interval"] is None else f" ± {100 * found['interval']:.1f}"
    return f"{100 * found['mean']:{sign}.1f}{spread}"
