"""The people of a gallery as CSV, JSON, Parquet and MOTChallenge's text."""

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.footage.boxes import mot_line
from torchreid_occ.footage.manifest import Recording, check_names, recorded_tracklet
from torchreid_occ.identities.finding import Identities
from torchreid_occ.search.parquet import arrow_modules, tracklet_arrays, write_arrays
from torchreid_occ.utils.files import write_text

_COLUMNS = ("person", "certainty", "id", "camera", "start", "end", "frames", "name")


def as_csv(found: Identities) -> str:
    """Returns a row for each tracklet, in the order of the people's numbers.

    Args:
        found: The people.
    """
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for person in sorted(found.people):
        for number in person.tracklets:
            one = found.tracklets[number]
            facts = number, one.camera, one.start, one.end, len(one.frames), one.name
            writer.writerow((person.number, round(person.certainty, 4), *facts))
    return content.getvalue()


def as_json(found: Identities) -> dict[str, Any]:
    """Returns the people and the decisions as plain values.

    Args:
        found: The people.
    """
    return {
        "people": [
            {
                "person": person.number,
                "certainty": person.certainty,
                "tracklets": [
                    {"id": number, **found.tracklets[number]._asdict()}
                    for number in person.tracklets
                ],
            }
            for person in sorted(found.people)
        ],
        "decisions": [one._asdict() for one in found.decisions],
    }


def write_table(path: StrPath, found: Identities, checkpoint_hash: str) -> None:
    """Writes a row for each tracklet as Parquet, in the order of the people's numbers.

    The columns are person, certainty, id, name, camera, start, end and frames.

    Args:
        path: The file.
        found: The people.
        checkpoint_hash: Hash of the gallery's checkpoint, for the metadata.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, _ = arrow_modules()
    people = [one for one in sorted(found.people) for _ in one.tracklets]
    ids = [number for one in sorted(found.people) for number in one.tracklets]
    arrays = {
        "person": arrow.array([one.number for one in people], arrow.int64()),
        "certainty": arrow.array([one.certainty for one in people], arrow.float64()),
        **tracklet_arrays(ids, [found.tracklets[number] for number in ids]),
    }
    write_arrays(path, arrays, {"checkpoint_hash": checkpoint_hash})


def write_mot(found: Identities, folder: StrPath) -> list[Path]:
    """Writes the people of each recording as MOTChallenge's text; ids are the people's numbers.

    Args:
        found: The people.
        folder: Folder of the files, ``<recording>.txt``.

    Returns:
        The files.

    Raises:
        ValueError: If no tracklet was cut out of a video, so that there are no boxes, or two
            recordings share a name.
    """
    lines: dict[Recording, list[tuple[int, int, str]]] = defaultdict(list)
    for person in found.people:
        for number in person.tracklets:
            frames = found.tracklets[number].frames
            where = recorded_tracklet(Path(frames[0]).parent)
            if where is None:
                continue
            for frame, (left, top, width, height) in zip(where.frames, where.boxes, strict=True):
                corners = np.array([left, top, left + width, top + height])
                line = mot_line(frame, corners, 1.0, person.number)
                own = where.dataset, where.recording
                lines[own].append((frame, person.number, line))
    if not lines:
        raise ValueError(
            "MOTChallenge's text needs boxes, but none of the tracklets was cut out of a video, or "
            "their folders have moved: index them again."
        )
    check_names(lines)
    written = []
    for (_, recording), rows in sorted(lines.items()):
        written.append(Path(folder) / f"{recording}.txt")
        write_text(written[-1], "".join(line for *_, line in sorted(rows)))
    return written
