"""Tries an exported part in a copy of the torchreid it was made for."""

import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

STEP = Path(__file__).with_name("trial_step.py")
DATASET_SIZE = (64, 32)  # of the frames a dataset's step is trained on


def try_out(exported, part, tree, root=None):
    """Imports a part from a copy of torchreid and trains a step with torchreid's engine.

    Args:
        exported: The part's `Export`.
        part: The `Part`.
        tree: The `Tree` it was made for.
        root: Folder of the datasets; without it a dataset is imported, and trained on no step.

    Returns:
        A line that says what was done.

    Raises:
        RuntimeError: If that fails; with what Python said.
    """
    arguments = [
        part.kind,
        part.name,
        *map(str, _size(part)),
        str(Path(root).absolute()) if root else "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "torchreid")
        shutil.copytree(tree.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for path, text in {exported.path: exported.source, **exported.factories}.items():
            (copy / path.relative_to(tree.folder)).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", STEP.read_text(encoding="utf-8"), *arguments],
            cwd=folder,  # comes first where Python looks for modules
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"The exported {part.name} does not work:\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()[-1]


def _size(part):
    """Height and width of a step's frames: the builder's own for a model."""
    if part.kind != "model":
        return DATASET_SIZE
    parameters = inspect.signature(part.definition).parameters
    return parameters["height"].default, parameters["width"].default
