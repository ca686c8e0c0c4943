"""Plots of a comparison: CMC, mAP by occlusion, accuracy against cost."""

from matplotlib.figure import Figure

MARKERS = "osD^vP*X<>hp"  # a model keeps its own in every plot, for those who see no colours


def styles(models):
    """How each model is drawn in all plots.

    Args:
        models: Their names.
    """
    return {
        model: {
            "marker": MARKERS[number % len(MARKERS)],
            "color": f"C{number % 10}",
            "label": model,
        }
        for number, model in enumerate(models)
    }


def draw_cmc(runs, target, styles):
    """Share of the queries with a match among the first ranks, mean over seeds, a line a model.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison.run_suite`.
        target: What the models were tested on.
        styles: From :func:`styles`.

    Returns:
        A Matplotlib figure, as of the others.
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


def draw_labels(labels, target, styles):
    """Mean average precision by how much of the query's person is hidden, a line a model.

    Args:
        labels: From :func:`torchreid_occ.studies.comparison_tables.by_label`.
        target: What the models were tested on.
        styles: From :func:`styles`.
    """
    figure, axis = _plot(f"By occlusion of the query, {target}", "label: tenths hidden", "mAP, %")
    for model, found in labels[target].items():
        means = [100 * mean for mean, _ in found.values()]
        axis.plot([*found], means, **styles[model])
        axis.set_xticks([*found], [f"{label}\n({count})" for label, (_, count) in found.items()])
    return _with_legend(figure, axis)


def draw_cost(summary, target, styles):
    """Mean average precision with its interval against multiply-adds, a point a model.

    Args:
        summary: From :func:`torchreid_occ.studies.comparison_tables.summarise`.
        target: What the models were tested on.
        styles: From :func:`styles`.
    """
    figure, axis = _plot(f"Accuracy against cost, {target}", "GMACs a clip", "mAP, %")
    for row in summary:
        if row["tested on"] == target:
            mean, half = row["mAP"]["mean"], row["mAP"]["interval"] or 0.0
            style = styles[row["model"]] | {"linestyle": "none", "capsize": 3}
            axis.errorbar(row["gmacs_per_clip"], 100 * mean, 100 * half, **style)
    return _with_legend(figure, axis)


def _plot(title, across, up):
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    axis.set(title=title, xlabel=across, ylabel=up)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _with_legend(figure, axis):
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure
