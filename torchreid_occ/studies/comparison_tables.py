"""Tables of a comparison: a summary as Markdown, CSV and JSON, and mAP by occlusion label."""

import csv
import io
import statistics
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from torchreid_occ.data.truth_by_name import load_ground_truth
from torchreid_occ.runs.phases import Results
from torchreid_occ.studies.comparison_runs import Runs
from torchreid_occ.utils.tables import markdown_table

RANKS = (1, 5, 10)
CONFIDENCE = 0.95

# Rows with the columns of table.csv and table.json: what was measured with each seed is a `Spread`.
Summary: TypeAlias = list[dict[str, Any]]
# {target: {model: {occlusion label: (mAP, number of queries)}}}
Labels: TypeAlias = dict[str, dict[str, dict[int, tuple[float, int]]]]


class Spread(TypedDict):
    """Values of the seeds, as shares of one: mean, half of the mean's interval, each value."""

    mean: float
    interval: float | None
    values: list[float]


def summarise(runs: Runs, frames_per_second: Mapping[str, float]) -> Summary:
    """Summarises each target and model with means over seeds.

    Rows of a seed share its data, so that their difference says more than their spreads: the gain
    of a row over the first, seed by seed, has an interval of its own.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison_runs.run_suite`.
        frames_per_second: By row, from :mod:`torchreid_occ.studies.comparison_speed`.

    Returns:
        A dict for each target and model. mAP, gain and CMC ranks are :class:`Spread`.
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
                    **{name: _spread(values) for name, values in found.items()},
                    "parameters": cost["parameters"],
                    "gmacs_per_clip": cost["gmacs_per_clip"],
                    "training_seconds": statistics.mean(map(_training_seconds, seeds)),
                    "test_seconds": _test_seconds(seeds),
                    "frames_per_second": frames_per_second[model],
                }
            )
    return rows


def interval(values: list[float]) -> float | None:
    """Computes half the width of the 95 % confidence interval of a mean, by Student's t.

    Args:
        values: One for each seed.

    Returns:
        Half the width; None for a single value.
    """
    if len(values) < 2:
        return None
    quantile = student.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)
    return float(quantile * statistics.stdev(values) / len(values) ** 0.5)


def summary_table(summary: Summary) -> str:
    """Returns the summary as a Markdown table, in percent.

    Args:
        summary: From :func:`summarise`.
    """
    first = summary[0]["model"]
    titles = ["tested on", "model", "mAP", f"over {first}", *(f"rank-{rank}" for rank in RANKS)]
    titles += ["parameters", "GMACs a clip", "training, s", "test, s", "frames/s"]
    rows = []
    for row in summary:
        cells = [row["tested on"], row["model"], _percent(row["mAP"])]
        cells += [_percent(row["gain"], "+") if "gain" in row else ""]
        cells += [_percent(row[f"rank-{rank}"]) for rank in RANKS]
        cells += [f"{row['parameters'] / 1e6:.2f} M", f"{row['gmacs_per_clip']:.2f}"]
        test = row["test_seconds"]
        cells += [f"{row['training_seconds']:.0f}", "" if test is None else f"{test:.1f}"]
        cells += [f"{row['frames_per_second']:.0f}"]
        rows.append(cells)
    return markdown_table(titles, rows)


def csv_table(summary: Summary) -> str:
    """Returns the summary as CSV: a column for each number, mean, interval and value of a seed.

    Args:
        summary: From :func:`summarise`.
    """
    flat = []
    for row in summary:
        own: dict[str, Any] = {}
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


def by_label(runs: Runs, root: str) -> Labels:
    """Averages precision by how much of the query's person is hidden, over all seeds.

    The label of a query tracklet is the paper's (RFCnet, Section 5.2, note 3) for the mean over
    its frames: n stands for more than (n - 1) and at most n tenths.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison_runs.run_suite`.
        root: Folder that holds the datasets.

    Returns:
        ``{target: {model: {label: (mAP, number of queries)}}}`` for the targets that have labels.
    """
    known: dict[str, npt.NDArray[np.int64] | None] = {}  # rows of a seed share it

    def labels_of(target: str, run: Results) -> npt.NDArray[np.int64] | None:
        data = run["config"]["data"]
        options, split = data.get("options", {}).get(target), data["split_id"]
        key = f"{target} {split} {options}"
        if key not in known:
            truth = load_ground_truth(target, root, split, options)
            known[key] = None if truth is None else truth.query_labels()
        return known[key]

    found: Labels = {}
    for target in _targets(runs):
        for model, seeds in _tested_on(target, runs):
            each = [labels_of(target, run) for run in seeds]
            of_seeds = [labels for labels in each if labels is not None]
            if len(of_seeds) < len(seeds):
                continue
            labels = np.concatenate(of_seeds)
            results = [run["targets"][target]["last"]["average_precisions"] for run in seeds]
            precisions = np.concatenate([*map(np.array, results)]).astype(float)
            found.setdefault(target, {})[model] = {
                int(label): (float(np.nanmean(precisions[labels == label])), int(count))
                for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
            }
    return found


def label_table(labels: Labels) -> str:
    """Returns mAP by label as Markdown tables, in percent; an empty string without labels.

    Rows whose queries have the same labels, as often, share a table.

    Args:
        labels: From :func:`by_label`.
    """
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    for target, models in labels.items():
        for model, found in models.items():
            titles = tuple(f"{label} ({count})" for label, (_, count) in found.items())
            row = [target, model, *(f"{100 * mean:.1f}" for mean, _ in found.values())]
            tables.setdefault(titles, []).append(row)
    return "\n".join(
        markdown_table(["tested on", "model", *titles], rows) for titles, rows in tables.items()
    )


def _targets(runs: Runs) -> list[str]:
    """Returns the datasets that any row was tested on, in order."""
    return [*dict.fromkeys(target for seeds in runs.values() for target in seeds[0]["targets"])]


def _tested_on(target: str, runs: Runs) -> list[tuple[str, list[Results]]]:
    """Returns the rows that were tested on a target, with their seeds."""
    return [(row, seeds) for row, seeds in runs.items() if target in seeds[0]["targets"]]


def _training_seconds(run: Results) -> float:
    """Returns the seconds of training alone; of results of 0.1.0, with tests."""
    seconds: float = run["training_seconds" if "training_seconds" in run else "seconds"]
    return seconds


def _test_seconds(seeds: list[Results]) -> float | None:
    """Returns the mean seconds of extracting features; None for results of 0.1.0."""
    if not all("inference" in run for run in seeds):
        return None
    return statistics.mean(run["inference"]["seconds"] for run in seeds)


def _spread(values: list[float]) -> Spread:
    return {"mean": statistics.mean(values), "interval": interval(values), "values": values}


def _percent(found: Spread, sign: str = "") -> str:
    half = "" if found["interval"] is None else f" ± {100 * found['interval']:.1f}"
    return f"{100 * found['mean']:{sign}.1f}{half}"
