"""Trains the papers' baseline and RFCnet on the embedded data and compares them: `make demo`.

Results, a table and pictures go to log/demo; finished parts are not trained again.
"""

from pathlib import Path

from torchreid_occ.config import load_config
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.runs.run import read_results, run_experiment
from torchreid_occ.utils.checkpoint import latest_checkpoint
from torchreid_occ.utils.files import write_text
from torchreid_occ.visualization.pictures import draw_pictures

FOLDER = Path("log/demo")
CONFIGS = {
    "papers' baseline": "configs/demo/baseline_resnet50.yaml",
    "RFCnet": "configs/demo/rfcnet.yaml",
}
PICTURED_FRAMES = 8


def main():
    """Runs both configurations, then writes the table and the pictures."""
    configs = {name: load_config(path) for name, path in CONFIGS.items()}
    results = {}
    for name, config in configs.items():
        finished = Path(config.data.save_dir) / "results.json"
        if finished.exists():
            results[name] = read_results(config.data.save_dir)
        else:
            results[name] = run_experiment(config, resume=True)
    table = results_table(results)
    write_text(FOLDER / "table.md", table)
    data = configs["RFCnet"].data
    frames = load_dataset(data.sources[0], data.root).query[0][0][:PICTURED_FRAMES]
    checkpoint = latest_checkpoint(data.save_dir)
    pictures = draw_pictures(checkpoint, frames, FOLDER / "pictures")
    print(f"\n{table}\nTable: {FOLDER / 'table.md'}\nPictures: {pictures[0].parent}")
    print(f"Logs: {', '.join(config.data.save_dir for config in configs.values())}")


def results_table(results):
    """A Markdown table of one row a configuration."""
    lines = [
        "| model | mAP | rank-1 | rank-5 | rank-10 | parameters | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        (target,) = result["targets"].values()
        last = target["last"]
        shown = [last["mAP"], *(last["cmc"][rank] for rank in (1, 5, 10))]
        cells = [f"{100 * value:.1f}" for value in shown]
        cells += [f"{result['cost']['parameters'] / 1e6:.2f} M", f"{result['seconds']:.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
