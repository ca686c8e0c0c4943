"""Plots as inline SVG, in the colour of the page's text, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Distinct to most colour-blind people, and legible on white and on black.
COLOURS = ("#3b82c4", "#d9792b", "#4c9a5a", "#9a6fc0", "#b5a03c", "#c2577f")
_INK = "#010203"  # replaced by the text's colour in the SVG
_STYLE: dict[Any, Any] = {  # as of Matplotlib's rcParams
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.prop_cycle": cycler(color=COLOURS),
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
_POINTS = 200  # of a curve; a longer one is drawn as the means of as many parts


@matplotlib.rc_context(_STYLE)
def cmc_plot(curves: Mapping[str, Mapping[int, float]]) -> Markup:
    """Draws CMC curves.

    Args:
        curves: ``{name: {rank: share of queries}}``.

    Returns:
        The SVG, as of the others.
    """
    figure, axes = _axes(_SIZE)
    for name, curve in curves.items():
        axes.plot([*curve], [100 * value for value in curve.values()], ".-", label=name)
    axes.set(xlabel="rank", ylabel="queries matched (%)", xticks=(1, 5, 10, 15, 20))
    axes.set_ylim(top=101)
    axes.legend(loc="lower right")
    description = "; ".join(
        f"{name}: " + ", ".join(f"rank-{rank} {100 * curve[rank]:.1f}%" for rank in (1, 5, 10, 20))
        for name, curve in curves.items()
    )
    return _inline(figure, f"CMC curves. {description}.")


@matplotlib.rc_context(_STYLE)
def label_plot(
    labels: Sequence[int], rows: Mapping[str, Sequence[float]], counts: Sequence[int]
) -> Markup:
    """Draws mAP over occlusion labels.

    Args:
        labels: The labels.
        rows: ``{name: mAP of each label}``.
        counts: Number of queries of each label.
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
def reliability_plot(diagrams: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Draws reliability diagrams: how often what was said with a probability was true.

    Args:
        diagrams: ``{name: {'said': ..., 'seen': ..., 'counts': ...}}``, a value for each bin.
    """
    figure, axes = _axes(_SIZE)
    axes.plot([0, 100], [0, 100], color=_INK, linewidth=0.6, alpha=0.5)
    for name, diagram in diagrams.items():
        said, seen = (100 * np.asarray(diagram[kind]) for kind in ("said", "seen"))
        axes.plot(said, seen, "o-", markersize=4, label=name)
    axes.set(xlabel="probability said (%)", ylabel="same person (%)")
    axes.set(xlim=(0, 101), ylim=(0, 101))
    axes.legend(loc="upper left")
    return _inline(figure, f"Reliability diagrams: {', '.join(diagrams)}.")


@matplotlib.rc_context(_STYLE)
def curve_plot(name: str, steps: Sequence[int], values: Sequence[float]) -> Markup:
    """Draws a quantity over the training.

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
    course = f"{name}: from {values[0]:.4g} to {values[-1]:.4g}, {lowest:.4g} to {highest:.4g}"
    return _inline(figure, f"{course} in between.")


def _axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Averages neighbouring points of a curve with more than `_POINTS`."""
    parts = min(len(steps), _POINTS)

    def means(series: Sequence[float]) -> list[float]:
        return [float(np.mean(part)) for part in np.array_split(np.asarray(series, float), parts)]

    return means(steps), means(values)


def _inline(figure: Figure, description: str) -> Markup:
    """Returns a figure as SVG inside a page, where no id may occur twice."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": description}):
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(content, format="svg", transparent=True, metadata=no_metadata)
    svg = content.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for side in ("width", "height"):  # set by the page's style
        svg = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", svg, count=1)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))
