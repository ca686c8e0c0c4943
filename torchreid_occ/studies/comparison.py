"""A comparison of configurations over seeds: trains them and writes tables and plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.config import configurations, load_config
from torchreid_occ.studies.comparison_plots import draw_cmc, draw_cost, draw_labels, styles
from torchreid_occ.studies.comparison_runs import Runs, run_suite
from torchreid_occ.studies.comparison_speed import frames_per_second
from torchreid_occ.studies.comparison_tables import (
    Labels,
    Summary,
    by_label,
    csv_table,
    label_table,
    summarise,
    summary_table,
)
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import replacing, write_json, write_text


class Comparison(NamedTuple):
    """Results of a comparison.

    Attributes:
        runs: Results of each row and seed.
        summary: A row for each target and model, see :func:`summarise`.
        labels: mAP by occlusion label, see :func:`by_label`.
    """

    runs: Runs
    summary: Summary
    labels: Labels

    def table(self) -> str:
        """Returns the summary and the mAP by occlusion label as Markdown tables."""
        return "\n".join(filter(None, (summary_table(self.summary), label_table(self.labels))))


def compare(
    suite: Sequence[StrPath],
    seeds: Sequence[int] = (1, 2, 3),
    splits: Sequence[int] | None = None,
    folder: StrPath = "log/compare",
    overrides: Sequence[str] = (),
    phases: Sequence[str] = (),
    jobs: int = 1,
    pretrain: StrPath | None = None,
) -> Comparison:
    """Trains and tests configurations over seeds and writes tables and plots.

    Finished runs are not trained again; an interrupted comparison continues where it was.

    Args:
        suite: Configuration files, or rows as ``file.yaml#row``; a file with rows stands for all
            of them.
        seeds: Values of ``train.seed``.
        splits: ``data.split_id`` of each seed; None keeps the configured one.
        folder: Runs go to ``<folder>/<row>/seed_<seed>``; ``table.md``, ``table.csv``,
            ``table.json`` and plots to ``folder``.
        overrides: ``[key, value, ...]`` on top of every configuration.
        phases: Names of phases that become a row each, see
            :func:`~torchreid_occ.studies.comparison_runs.run_suite`.
        jobs: Number of runs at once.
        pretrain: A configuration file to run before the others, such as the one that makes the
            weights they start from; None runs none.

    Raises:
        ValueError: As :func:`~torchreid_occ.studies.comparison_runs.run_suite`.
        RuntimeError: If a run fails.
    """
    runs = run_suite(suite, seeds, splits, folder, overrides, phases, jobs, pretrain)
    summary = summarise(runs, frames_per_second(runs))
    labels = by_label(runs, load_config(configurations(suite[0])[0], overrides).data.root)
    comparison = Comparison(runs, summary, labels)
    write_comparison(comparison, folder)
    return comparison


def write_comparison(comparison: Comparison, folder: StrPath) -> None:
    """Writes the tables and plots of a comparison.

    Args:
        comparison: The comparison.
        folder: Where the files go.
    """
    folder = Path(folder)
    runs, summary, labels = comparison
    write_text(folder / "table.md", comparison.table())
    write_text(folder / "table.csv", csv_table(summary))
    about = {"hardware": hardware(use_gpu=True), "versions": versions()}
    write_json(folder / "table.json", {"rows": summary, "by_label": labels, **about})
    target = summary[0]["tested on"]
    style = styles(runs)
    plots = {"cmc": draw_cmc(runs, target, style), "cost": draw_cost(summary, target, style)}
    if target in labels:
        plots["labels"] = draw_labels(labels, target, style)
    for name, figure in plots.items():
        with replacing(folder / f"{name}.png") as file:
            figure.savefig(file, format="png", dpi=110)
