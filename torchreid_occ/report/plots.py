"""Plots as SVG inside the page, in the colours of its text, light or dark."""

import io
import re

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure

# Told apart by most colour-blind people, and readable on white and on black.
COLOURS = ("#3b82c4", "#d9792b", "#4c9a5a", "#9a6fc0", "#b5a03c", "#c2577f")
_INK = "#010203"  # stands for the text's colour until the SVG is in the page
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
    "grid.color": _INK,
}
_SIZE = (4.6, 2.9)
_POINTS = 200  # of a curve; of more, means over as many parts are drawn


@matplotlib.rc_context(_STYLE)
def cmc_plot(curves):
    """Draws CMC curves.

    Args:
        curves: ``{name: {rank: share of queries}}``.

    Returns:
        The SVG, as safe markup.
    """
    figure, axes = _axes(_SIZE)
    for name, curve in curves.items():
        axes.plot([*curve], [100 * value for value in curve.values()], ".-", label=name)
    axes.set(xlabel="rank", ylabel="queries matched (%)", xticks=(1, 5, 10, 15, 20))
    axes.set_ylim(top=101)
    axes.legend(loc="lower right")
    told = "; ".join(
        f"{name}: " + ", ".join(f"rank-{rank} {100 * curve[rank]:.1f}%" for rank in (1, 5, 10, 20))
        for name, curve in curves.items()
    )
    return _inline(figure, f"CMC curves. {told}.")


@matplotlib.rc_context(_STYLE)
def label_plot(labels, rows, counts):
    """Draws mAP over occlusion labels.

    Args:
        labels: The labels.
        rows: ``{name: mAP of each label}``.
        counts: Queries of each label.
    """
    figure, axes = _axes(_SIZE)
    for name, values in rows.items():
        axes.plot(labels, [100 * value for value in values], "o-", markersize=4, label=name)
    ticks = [f"{label}\n({count})" for label, count in zip(labels, counts, strict=True)]
    axes.set_xticks(labels, ticks)
    axes.set(xlabel="occlusion label of the query (number of queries)", ylabel="mAP (%)")
    axes.set_ylim(0, 104)
    axes.legend(loc="lower left")
    return _inline(figure, f"mAP by the query's occlusion label: {', '.join(rows)}.")


@matplotlib.rc_context(_STYLE)
def curve_plot(name, steps, values):
    """Draws what one quantity did in training.

    Args:
        name: Name of the quantity.
        steps: Steps, or epochs of a validation.
        values: Its values at them.
    """
    figure, axes = _axes((3.2, 2.0))
    axes.plot(*_thinned(steps, values), linewidth=1.2)
    axes.set_xlabel("epoch" if name.startswith("validation") else "step")
    axes.locator_params(nbins=5)
    lowest, highest = min(values), max(values)
    told = f"{name}: from {values[0]:.4g} to {values[-1]:.4g}, {lowest:.4g} to {highest:.4g}"
    return _inline(figure, f"{told} in between.")


def _axes(size):
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _thinned(steps, values):
    """Means of neighbouring points where there are more than can be seen."""
    parts = min(len(steps), _POINTS)
    return [
        [np.mean(part) for part in np.array_split(np.asarray(series, float), parts)]
        for series in (steps, values)
    ]


def _inline(figure, description):
    """The SVG of a figure for the middle of a page, where no name may occur twice."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": description}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    svg = content.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for side in ("width", "height"):  # the page decides
        svg = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", svg, count=1)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))
