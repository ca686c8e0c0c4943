"""Progress of an unfinished rendering: a record per finished tracklet."""

import json
from pathlib import Path
from typing import Any

from torchreid_occ.occwalk.files import write_tracklet
from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import TrackletSpec
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import write_text


def data_folder(partial: Path) -> Path:
    """Returns the folder of the images of an unfinished rendering."""
    return partial / "data"


def render_record(partial: Path, spec: TrackletSpec, preset: Preset, seed: int) -> None:
    """Renders a tracklet into an unfinished rendering and writes its record last."""
    record = write_tracklet(data_folder(partial), spec, preset, seed)
    write_text(_path(partial, spec), json.dumps(record))


def read_record(partial: Path, spec: TrackletSpec) -> dict[str, Any] | None:
    """Returns the record of a tracklet, or None if it is not finished."""
    path = _path(partial, spec)
    return read_json(path) if path.exists() else None


def _path(partial: Path, spec: TrackletSpec) -> Path:
    return partial / "records" / f"{spec.uid:06d}.json"
