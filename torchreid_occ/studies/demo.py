"""The demo: trains configurations on embedded data, compares them, draws the last model."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.config import load_config
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.runs.folder import RESULTS, read_results, read_runs
from torchreid_occ.runs.phases import Results
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.tables import markdown_table
from torchreid_occ.visualization.pictures import draw_pictures

FRAMES = 8  # of the tracklet that is drawn


class Demo(NamedTuple):
    """Results of the demo.

    Attributes:
        table: A Markdown table with a row for each configuration.
        table_path: The file that holds it.
        pictures: Paths of the pictures.
        save_dirs: Folder of each run.
    """

    table: str
    table_path: Path
    pictures: list[Path]
    save_dirs: list[str]


def run_demo(configs: Mapping[str, StrPath], folder: StrPath = "log/demo") -> Demo:
    """Trains configurations, unless they have finished, and writes a table and pictures.

    The pictures show what the model of the last configuration does to the first query.

    Args:
        configs: Configuration files by the name of their row.
        folder: The table goes to ``<folder>/table.md``, pictures to ``<folder>/pictures``; runs go
            to the ``data.save_dir`` of their configuration.
    """
    loaded = {name: load_config(path) for name, path in configs.items()}
    results = {}
    for name, config in loaded.items():
        if Path(config.data.save_dir, RESULTS).exists():
            results[name] = read_results(config.data.save_dir)
        else:
            results[name] = run_experiment(config, resume=True)
    table, path = results_table(results), Path(folder) / "table.md"
    write_text(path, table)
    data = [*loaded.values()][-1].data
    frames = load_dataset(data.sources[0], data.root).query[0][0][:FRAMES]
    checkpoint = read_runs(data.save_dir)[-1].checkpoint
    pictures = draw_pictures(checkpoint, frames, Path(folder) / "pictures")
    return Demo(table, path, pictures, [config.data.save_dir for config in loaded.values()])


def results_table(results: Mapping[str, Results]) -> str:
    """Returns a Markdown table with a row for each run.

    Args:
        results: Results of runs with one target each, by the name of their row.
    """
    titles = ("model", "mAP", "rank-1", "rank-5", "rank-10", "parameters", "seconds")
    rows = []
    for name, result in results.items():
        (target,) = result["targets"].values()
        last = target["last"]
        shares = [last["mAP"], *(last["cmc"][rank] for rank in (1, 5, 10))]
        cells = [name, *(f"{100 * share:.1f}" for share in shares)]
        cells += [f"{result['cost']['parameters'] / 1e6:.2f} M", f"{result['seconds']:.0f}"]
        rows.append(cells)
    return markdown_table(titles, rows)
