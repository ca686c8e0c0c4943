"""The model's own pictures: what its parts do to a query, which regions VRSTC fills in."""

import io
import json
from typing import NamedTuple

from PIL import Image

from torchreid_occ.completion.dataset import MANIFEST
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.occwalk import OccWalk
from torchreid_occ.utils.logs import printed_lines_logged
from torchreid_occ.visualization import PICTURES
from torchreid_occ.visualization.frame_strip import Picture, embedded, frame_strip, spread_frames
from torchreid_occ.visualization.pictures import model_figures

_FRAMES = 8
_CAPTIONS = {
    "partition": "Partition: the regions the block divides each frame into, each in its colour",
    "foreground": "Foreground: how surely the block takes a place for the person, white being sure",
    "assignment": "Assignment: region features before (f) and after completion (o), and to which "
    "clusters the encoding and decoding matrices assign the regions",
    "temporal": "Gate: region features over time before (o) and after (e), and how much of a "
    "region's own feature the gate keeps",
    "refinement": "Refinement: how strongly the maps respond, before and after earlier frames "
    "have filled in what is hidden",
    "alignment": "Alignment: frames and maps as they are, and as the transformer aligns them",
}


class ModelPicture(NamedTuple):
    """A picture with its caption."""

    caption: str
    picture: Picture


class Completion(NamedTuple):
    """Frames of a query as recorded, as completed, and, where known, without occluders."""

    number: int
    strips: dict


def draw_model(model, config, frame_paths):
    """What a model does to a tracklet; nothing if it has no pictures.

    Args:
        model: A trained model on the CPU, in eval mode.
        config: Its configuration.
        frame_paths: Paths of the tracklet's frames, in order.
    """
    if config.model.name not in PICTURES:
        return []
    shown = spread_frames(frame_paths, _FRAMES)
    pictures = []
    for name, figure in model_figures(model, config, shown).items():
        *stage, kind = name.rsplit("_", 1)
        place = f" (block after {stage[0].replace('stage', 'stage ')})" if stage else ""
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        pictures.append(ModelPicture(f"{_CAPTIONS[kind]}{place}.", _compressed(content)))
    return pictures


def region_scores(run):
    """The picture of region scores that a task 'score' left in its folder.

    Args:
        run: A :class:`~torchreid_occ.runs.folder.Run` of that task.
    """
    caption = (
        f"Region scores by {run.name}: the query with most occluded regions, which are red; a "
        "region is occluded where its score lies below the threshold."
    )
    return ModelPicture(caption, _compressed(run.folder / "scores.png"))


def completions(run, root=None, count=4):
    """Queries of a completed copy with most completed frames.

    Args:
        run: A :class:`~torchreid_occ.runs.folder.Run` of task 'copy' that completes.
        root: Folder of the datasets, if it is not the run's any more.
        count: How many queries.
    """
    folder = run.folder / "copy"
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    changed = {int(n): sorted(map(int, c)) for n, c in manifest["frames"]["query"].items()}
    chosen = sorted(changed, key=lambda number: -len(changed[number]))[:count]
    source = manifest["source"]
    root, split = root or run.config.data.root, source["split_id"]
    versions = {"as recorded": (source["name"], source["options"])}
    versions["completed"] = ("completed", {"path": str(folder)})
    if issubclass(dataset_class(source["name"]), OccWalk):
        versions["without occluders"] = (f"{source['name']}.clean", source["options"])
    with printed_lines_logged():
        queries = {
            title: tracklets_of(load_dataset(name, root, split, options=options))["query"]
            for title, (name, options) in versions.items()
        }
    return [
        Completion(
            number,
            {
                title: frame_strip([tracklets[number][0][i] for i in changed[number]], _FRAMES)
                for title, tracklets in queries.items()
            },
        )
        for number in chosen
    ]


def _compressed(source):
    with Image.open(source) as image:
        return embedded(image.convert("RGB"), "WEBP", quality=85)
