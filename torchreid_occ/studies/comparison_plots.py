"""Plots of a comparison: CMC, mAP by occlusion, accuracy against cost."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchreid_occ.studies.comparison_runs import Runs
from torchreid_occ.studies.comparison_tables import Labels, Summary

MARKERS = (
    "osD^vP*X<>hp"  # a marker a model in every plot, for readers who cannot tell colours apart
)

# Keyword arguments of Matplotlib by model.
Styles: TypeAlias = Mapping[str, dict[str, Any]]


def styles(models: Iterable[str]) -> Styles:
    """Returns the marker, colour and label of each model, the same in all plots.

    Args:
        models: Names of the models.
    """
    return {
        model: {
            "marker": MARKERS[number % len(MARKERS)],
            "color": f"C{number % 10}",
            "label": model,
        }
        for number, model in enumerate(models)
    }


def draw_cmc(runs: Runs, target: str, styles: Styles) -> Figure:
    """Draws the mean CMC curve over seeds, a line for each model.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison_runs.run_suite`.
        target: Dataset that the models were tested on.
        styles: From :func:`styles`.
    """
    figure, axis = _plot(f"CMC on {target}", "rank", "queries with a match so far, %")
    for model, seeds in runs.items():
        tested = [run["targets"][target] for run in seeds if target in run["targets"]]
        if tested:
            curves = [found["last"]["cmc"] for found in tested]
            ranks = sorted(curves[0])
            means = [100 * sum(curve[rank] for curve in curves) / len(curves) for rank in ranks]
            axis.plot(ranks, means, **styles[model])
            axis.set_xticks(ranks)
    return _with_legend(figure, axis)


def draw_labels(labels: Labels, target: str, styles: Styles) -> Figure:
    """Draws the mAP by how much of the query's person is hidden, a line for each model.

    Args:
        labels: From :func:`torchreid_occ.studies.comparison_tables.by_label`.
        target: Dataset that the models were tested on.
        styles: From :func:`styles`.
    """
    figure, axis = _plot(f"By occlusion of the query, {target}", "label: tenths hidden", "mAP, %")
    for model, found in labels[target].items():
        means = [100 * mean for mean, _ in found.values()]
        axis.plot([*found], means, **styles[model])
        axis.set_xticks([*found], [f"{label}\n({count})" for label, (_, count) in found.items()])
    return _with_legend(figure, axis)


def draw_cost(summary: Summary, target: str, styles: Styles) -> Figure:
    """Draws the mAP with its confidence interval against multiply-adds, a point for each model.

    Args:
        summary: From :func:`torchreid_occ.studies.comparison_tables.summarise`.
        target: Dataset that the models were tested on.
        styles: From :func:`styles`.
    """
    figure, axis = _plot(f"Accuracy against cost, {target}", "GMACs a clip", "mAP, %")
    for row in summary:
        if row["tested on"] == target:
            mean, half = row["mAP"]["mean"], row["mAP"]["interval"] or 0.0
            style = styles[row["model"]] | {"linestyle": "none", "capsize": 3}
            axis.errorbar(row["gmacs_per_clip"], 100 * mean, 100 * half, **style)
    return _with_legend(figure, axis)


def _plot(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis: Axes = figure.subplots()
    axis.set(title=title, xlabel=across, ylabel=up)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _with_legend(figure: Figure, axis: Axes) -> Figure:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure
