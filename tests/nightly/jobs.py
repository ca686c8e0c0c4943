"""Long work to be killed, each a function that continues what it finds in a folder."""

import io
import multiprocessing
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

from many_videos import write_videos
from small_checkpoint import write_small_checkpoint
from support import TINY, pairs, write_masks, write_two_cameras
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ import TrackletExtractor
from torchreid_occ.calibration import fit_calibration
from torchreid_occ.config import load_config, merged, plain
from torchreid_occ.data.datasets.base import frames_in
from torchreid_occ.extraction import extract_to_parquet, video_units
from torchreid_occ.identities import correct, update_identities
from torchreid_occ.occlusion.occlude import occlude_dataset
from torchreid_occ.occwalk.build import build
from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.runs.phases import phase_configs, run_config
from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.pipeline import index_tracklets
from torchreid_occ.utils.files import write_json

CONFIGS = Path(__file__).parents[2] / "configs"
SETTINGS = {
    **TINY,
    "data.sources": "sduvid",
    "data.height": "32",
    "data.width": "16",
    "data.workers": "0",
    "train.batch_size": "4",
    "train.checkpoint_freq": "1",
}
VRSTC = {
    **SETTINGS,
    "train.max_epoch": "1",
    "completion.height": "32",
    "completion.width": "16",
    "completion.generator": "{'width': 4}",
    "completion.discriminator": "{'channels': [4, 4, 4, 4, 4, 4]}",
    "completion.quantile": "0.2",
    "phases.stcnet.train.max_epoch": "3",
}
COPIES = 5  # of the tracklets that are indexed, to fill more than a batch
PRESET = Preset("hard_use", 4, 4, 0, 2, 2, 1, 1, frames=(4, 6), height=64, width=32)


class Job(NamedTuple):
    """Work that a kill may interrupt.

    Attributes:
        run: Does the work in a folder, or the rest of it.
        kept: Patterns of files that must neither disappear nor be written again.
    """

    run: Callable[[Path], None]
    kept: tuple[str, ...]


def make_jobs(folder):
    """Returns the jobs by name and makes their inputs.

    Args:
        folder: An empty folder for the inputs.
    """
    root = write_two_cameras(folder / "data")
    write_masks(root, folder / "masks")
    training = _config("baseline_resnet50.yaml", root, {**SETTINGS, "train.max_epoch": "4"})
    vrstc = _config("vrstc.yaml", root, {**VRSTC, "data.save_dir": str(folder / "vrstc")})
    # In a subprocess, because a process in which torch has computed cannot be forked safely.
    process = multiprocessing.get_context("fork").Process(target=_prepare, args=(vrstc, folder))
    process.start()
    process.join()
    phases = phase_configs(vrstc)
    checkpoint, videos = folder / "model.pth.tar-1", write_videos(folder, 4)
    return {
        "training": Job(lambda place: _resume(training, place), ("model/model.pth.tar-*",)),
        "completion network": Job(
            lambda place: _resume(phases["stcnet"], place), ("model/model.pth.tar-*",)
        ),
        "completed copy": Job(
            lambda place: _resume(phases["complete"], place),
            ("copy/*/[0-9][0-9][0-9][0-9][0-9]/*",),
        ),
        "occluded copy": Job(
            lambda place: _occlude(root, folder / "masks", place),
            ("*/[0-9][0-9][0-9][0-9][0-9]/*",),
        ),
        "rendering": Job(_render, ()),
        "indexing": Job(lambda place: _index(Path(vrstc.data.save_dir), root, place), ()),
        "extraction": Job(
            lambda place: _extract(checkpoint, videos, place),
            ("features.parquet/*.parquet", "data/recordings/*.json"),
        ),
        "identities": identities_job(),
    }


def _config(name, root, settings):
    return load_config(CONFIGS / name, [*pairs(settings), "data.root", str(root)])


def _prepare(config, folder):
    """Writes a checkpoint, and runs the phases before the killed ones."""
    write_small_checkpoint(folder)
    with redirect_stdout(io.StringIO()):
        for phase in ("pretrain", "score", "stcnet"):
            run_config(config, only=phase)


def _resume(config, folder):
    run_config(merged(plain(config), [{"data": {"save_dir": str(folder)}}], "hard use"), True)


def _index(run, root, folder):
    """Indexes a gallery in batches and writes its content and a search result."""
    extractor = TrackletExtractor(run / "pretrain" / "model" / "model.pth.tar-1", workers=0)
    frames = [frames_in(place) for place in sorted(root.glob("SDU-VID/sequences/*/*"))]
    names = (f"{copy}/{number}" for copy in range(COPIES) for number in range(len(frames)))
    tracklets = [*map(GalleryTracklet, names, COPIES * frames)]
    gallery = Gallery.create(folder, extractor.checkpoint_hash, extractor.feature_dim)
    index_tracklets(gallery, extractor, tracklets)
    entries = [*gallery.entries()]
    nearest = gallery.search(entries[0][2], extractor.checkpoint_hash, top=5)
    found = {
        "entries": [[number, one.name, feature.tolist()] for number, one, feature in entries],
        "nearest": [[match.id, match.distance] for match in nearest],
        "files": sorted(file.suffix for file in folder.iterdir() if file.suffix != ".json"),
    }
    write_json(folder / "found.json", found)


def _extract(checkpoint, videos, folder):
    units = video_units([videos], folder / "data")
    extract_to_parquet(folder / "features.parquet", checkpoint, units, threads=1)


def identities_job():
    """Returns the work of grouping the tracklets of a gallery into people, with corrections."""
    people, cohort = made_up_people(1, 30, noise=1.0), made_up_people(3, 20)
    calibration = fit_calibration(*query_and_gallery(made_up_people(2, 40)), cohort, "abc", {})
    tracklets = [
        GalleryTracklet(f"t{number}", (), camera)
        for number, camera in enumerate(people.camids.tolist())
    ]

    def group(folder):
        gallery = Gallery.create(folder, "abc", people.features.shape[1])
        if not len(gallery):
            gallery.add(tracklets, people.features, "abc")
        correct(gallery, [(1, 3)], [(4, 5)])
        update_identities(gallery, calibration)
        correct(gallery, [(7, 8)])
        update_identities(gallery, calibration)

    return Job(group, ())


def _occlude(root, masks, folder):
    occlude_dataset("sduvid", root, folder, masks=masks, occluders="things", workers=0)


def _render(folder):
    build(PRESET, 0, str(folder), workers=1)
