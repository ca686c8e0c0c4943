"""Pictures of a run's page: the model's own, scores of thirds, completed frames."""

import io
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from PIL import Image
from torch import nn
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.data.copies import MANIFEST
from torchreid_occ.data.frame_strip import Picture, embedded, frame_strip, spread_frames
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.data.truth_by_name import load_ground_truth
from torchreid_occ.runs.folder import Run
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.logs import printed_lines_logged
from torchreid_occ.visualization.pictures import PICTURES, model_figures

_FRAMES = 8


class ModelPicture(NamedTuple):
    """A picture with its caption."""

    caption: str
    picture: Picture


class CompletedQuery(NamedTuple):
    """Frames of a query as recorded, as completed, and, where known, without occluders.

    Attributes:
        number: Number of the query.
        strips: The frames by the name of the version.
    """

    number: int
    strips: dict[str, Picture]


def draw_model(
    model: nn.Module, config: CfgNode, frame_paths: Sequence[StrPath]
) -> list[ModelPicture]:
    """Draws what a model does to a tracklet.

    Args:
        model: A trained model on the CPU, in eval mode.
        config: Its configuration.
        frame_paths: Paths of the tracklet's frames, in order.

    Returns:
        The pictures; none for a kind of model that has none.
    """
    if config.model.name not in PICTURES:
        return []
    captions = PICTURES[config.model.name].captions
    shown = spread_frames(frame_paths, _FRAMES)
    pictures = []
    for name, figure in model_figures(model, config, shown).items():
        *stage, kind = name.rsplit("_", 1)
        place = f" (block after {stage[0].replace('stage', 'stage ')})" if stage else ""
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        pictures.append(ModelPicture(f"{captions[kind]}{place}.", _compressed(content)))
    return pictures


def third_scores(run: Run) -> ModelPicture:
    """Reads the picture of scores that a task 'score' left in its folder.

    Args:
        run: A run of that task.
    """
    caption = (
        f"Scores of thirds by {run.name}: the query with most occluded thirds, which are red; a "
        "third is occluded if its score lies below the threshold."
    )
    return ModelPicture(caption, _compressed(run.folder / "scores.png"))


def completions(run: Run, root: StrPath | None = None, count: int = 4) -> list[CompletedQuery]:
    """Draws the queries of a completed copy with most completed frames.

    Args:
        run: A run of task 'copy' that completes.
        root: Folder of the datasets; the run's if None.
        count: How many queries.
    """
    folder = run.folder / "copy"
    manifest = read_json(folder / MANIFEST)
    changed = {int(n): sorted(map(int, c)) for n, c in manifest["frames"]["query"].items()}
    chosen = sorted(changed, key=lambda number: -len(changed[number]))[:count]
    source = manifest["source"]
    data_root, split = str(root or run.config.data.root), source["split_id"]
    versions = {"as recorded": (source["name"], source["options"])}
    versions["completed"] = ("completed", {"path": str(folder)})
    with printed_lines_logged():
        truth = load_ground_truth(source["name"], data_root, split, source["options"])
        if truth is not None and truth.clean is not None:
            versions["without occluders"] = (truth.clean.name, truth.clean.options)
        queries = {
            title: tracklets_of(load_dataset(name, data_root, split, options=options))["query"]
            for title, (name, options) in versions.items()
        }
    return [
        CompletedQuery(
            number,
            {
                title: frame_strip([tracklets[number][0][i] for i in changed[number]], _FRAMES)
                for title, tracklets in queries.items()
            },
        )
        for number in chosen
    ]


def _compressed(source: StrPath | BinaryIO) -> Picture:
    with Image.open(source) as image:
        return embedded(image.convert("RGB"), "WEBP", quality=85)
