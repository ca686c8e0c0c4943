"""What VRSTC sees and fills in: the paper's Figs. 5 and 6 for any tracklet."""

import textwrap

from matplotlib.figure import Figure

from torchreid_occ.completion.thirds import REGIONS

INCHES = 1.1  # breadth of a frame


def draw_scores(frames, scores, threshold):
    """Draws the scores of a tracklet's regions over time below its frames.

    Reference: VRSTC, Fig. 5.

    Args:
        frames: The frames as pictures.
        scores: Scores of their regions.
        threshold: Below it, a region is occluded.

    Shape:
        frames: T of ``(H, W, 3)``; scores: ``(T, 3)``.

    Returns:
        A Matplotlib figure.
    """
    figure = Figure(figsize=(max(4, INCHES * len(frames)), 4.8), layout="constrained")
    grid = figure.add_gridspec(2, len(frames), height_ratios=(2, 1.4))
    for number, frame in enumerate(frames):
        axis = figure.add_subplot(grid[0, number])
        axis.imshow(frame)
        for region, (name, score) in enumerate(zip(REGIONS, scores[number], strict=True)):
            if score < threshold:
                top = len(frame) * region / len(REGIONS)
                bottom = len(frame) * (region + 1) / len(REGIONS)
                axis.axhspan(top, bottom, color="red", alpha=0.35, label=name)
        axis.set_axis_off()
    axis = figure.add_subplot(grid[1, :])
    for name, series in zip(REGIONS, scores.T, strict=True):
        axis.plot(range(len(frames)), series, marker="o", label=name)
    axis.axhline(threshold, color="grey", linestyle="--", label=f"threshold {threshold:.3f}")
    axis.set_xlabel("frame")
    axis.set_ylabel("score")
    axis.legend(fontsize=7, ncol=4)
    return figure


def draw_completions(columns):
    """Draws versions of the same frames side by side.

    Args:
        columns: `{title: frames}`, as many of each: in [-1, 1], or masks in [0, 1].

    Shape:
        frames: ``(N, 3, H, W)`` or ``(N, 1, H, W)``.

    Returns:
        A Matplotlib figure, a row for each frame.
    """
    rows = len(next(iter(columns.values())))
    figure = Figure(figsize=(INCHES * len(columns), 2.1 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (title, frames) in enumerate(columns.items()):
        axes[0, column].set_title(textwrap.fill(title, 13), fontsize=8)
        for row, frame in enumerate(frames):
            pixels = frame.permute(1, 2, 0).cpu().numpy()
            if pixels.shape[2] == 1:
                axes[row, column].imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=1)
            else:
                axes[row, column].imshow((pixels.clip(-1, 1) + 1) / 2)
            axes[row, column].set(xticks=[], yticks=[])  # the edge stays: masks may be white
    return figure
