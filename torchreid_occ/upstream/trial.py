"""Tries an exported part in a copy of the torchreid that it was made for."""

import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from torchreid_occ._types import StrPath
from torchreid_occ.upstream.export import Export
from torchreid_occ.upstream.part import Part
from torchreid_occ.upstream.tree import Tree

STEP = Path(__file__).with_name("trial_step.py")
DATASET_SIZE = (64, 32)  # height and width of frames in the step on a dataset


def try_out(exported: Export, part: Part, tree: Tree, root: StrPath | None = None) -> str:
    """Imports a part from a copy of torchreid and trains a step with torchreid's engine.

    Args:
        exported: The exported part.
        part: The part.
        tree: The tree that it was exported for.
        root: Folder of the datasets; without it a dataset is imported, but no step trained on it.

    Returns:
        One line on what was done.

    Raises:
        RuntimeError: If it fails; holds Python's error.
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
            cwd=folder,  # the first place where Python looks for modules
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"The exported {part.name} does not work:\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()[-1]


def _size(part: Part) -> tuple[int, int]:
    """Returns the height and width of a step's frames: the builder's defaults for a model."""
    if part.kind != "model":
        return DATASET_SIZE
    parameters = inspect.signature(part.definition).parameters
    return parameters["height"].default, parameters["width"].default
