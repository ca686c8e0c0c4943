"""The demo: trains on embedded data, shows what occlusion costs, and draws the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.config import load_config
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.runs.folder import RESULTS, read_results, read_runs
from torchreid_occ.runs.phases import Results
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.studies.comparison_tables import interval
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.tables import markdown_table
from torchreid_occ.visualization.pictures import draw_pictures

FRAMES = 8  # of the tracklet that is drawn
RANKS = (1, 5, 10)


class Demo(NamedTuple):
    """Results of the demo.

    Attributes:
        table: Markdown: a row for each target, and what occlusion costs.
        table_path: The file that holds it.
        pictures: Paths of the pictures.
        save_dir: Folder of the run.
    """

    table: str
    table_path: Path
    pictures: list[Path]
    save_dir: str


def run_demo(path: StrPath, folder: StrPath = "log/demo") -> Demo:
    """Trains a configuration, unless it has finished, and writes a table and pictures.

    The pictures show what the model does to the first query.

    Args:
        path: Configuration file whose targets are a dataset and its clean twin.
        folder: The table goes to ``<folder>/table.md``, pictures to ``<folder>/pictures``; the run
            goes to the ``data.save_dir`` of its configuration.
    """
    config = load_config(path)
    data = config.data
    if Path(data.save_dir, RESULTS).exists():
        results = read_results(data.save_dir)
    else:
        results = run_experiment(config, resume=True)
    table, table_path = results_table(results), Path(folder) / "table.md"
    write_text(table_path, table)
    frames = load_dataset(data.sources[0], data.root).query[0][0][:FRAMES]
    checkpoint = read_runs(data.save_dir)[-1].checkpoint
    pictures = draw_pictures(checkpoint, frames, Path(folder) / "pictures")
    return Demo(table, table_path, pictures, data.save_dir)


def results_table(results: Results) -> str:
    """Returns a Markdown table with a row for each target, and what occlusion costs below it.

    Args:
        results: Results of a run that was tested on a dataset and on its clean twin.
    """
    targets = {name: found["last"] for name, found in results["targets"].items()}
    titles = ("tested on", "mAP", *(f"rank-{rank}" for rank in RANKS))
    rows = []
    for name, last in targets.items():
        shares = [last["mAP"], *(last["cmc"][rank] for rank in RANKS)]
        rows.append([name, *(f"{100 * share:.1f}" for share in shares)])
    return f"{markdown_table(titles, rows)}\n{_cost(*targets.values())}\n"


def _cost(occluded: Mapping[str, Any], clean: Mapping[str, Any]) -> str:
    """Says how many points of mAP occlusion costs, with an interval over the queries."""
    pairs = zip(clean["average_precisions"], occluded["average_precisions"], strict=True)
    losses = [before - after for before, after in pairs if None not in (before, after)]
    mean, half = sum(losses) / len(losses), interval(losses)
    spread = "" if half is None else f" ± {100 * half:.1f}"
    return (
        f"Occlusion costs {100 * mean:.1f}{spread} points of mAP (95 % interval over the "
        f"{len(losses)} queries, which are the same with and without occluders)."
    )
