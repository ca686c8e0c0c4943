"""Trains the papers' baseline and RFCnet on the embedded data and compares them: `make demo`.

Results, a table and pictures go to log/demo; finished parts are not trained again.
"""

from torchreid_occ.studies.demo import run_demo

CONFIGS = {
    "papers' baseline": "configs/demo/baseline_resnet50.yaml",
    "RFCnet": "configs/demo/rfcnet.yaml",
}


def main():
    """Runs both configurations, then writes the table and the pictures."""
    demo = run_demo(CONFIGS)
    print(f"\n{demo.table}\nTable: {demo.table_path}\nPictures: {demo.pictures[0].parent}")
    print(f"Logs: {', '.join(demo.save_dirs)}")


if __name__ == "__main__":
    main()
