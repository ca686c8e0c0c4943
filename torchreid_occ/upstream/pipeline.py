"""Exports a part by name: makes its files, tries them in a copy of torchreid and writes them."""

from pathlib import Path
from typing import NamedTuple

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import StrPath
from torchreid_occ.upstream.export import export, write
from torchreid_occ.upstream.part import find_part
from torchreid_occ.upstream.tree import Tree
from torchreid_occ.upstream.trial import try_out


class Exported(NamedTuple):
    """A part that was tried and written.

    Attributes:
        tree: Folder of the torchreid package that it was made for.
        trial: One line on what the trial did.
        paths: The files written.
    """

    tree: Path
    trial: str
    paths: list[Path]


def export_part(
    name: str,
    out: StrPath,
    torchreid_folder: StrPath | None = None,
    root: StrPath | None = None,
) -> Exported:
    """Exports a model or a dataset as a file of torchreid's tree, and a patch of its factory.

    Args:
        name: Name of the model or dataset, as in a configuration.
        out: Folder that the files are written to.
        torchreid_folder: Folder `torchreid` of the package that they are made for; that of the
            installed one if None.
        root: Folder of the datasets, to train a step on an exported dataset.

    Raises:
        KeyError: If there is no part of this name.
        ValueError: If it cannot be exported; says why.
        FileNotFoundError: If `torchreid_folder` is no folder of torchreid.
        RuntimeError: If the exported part does not work in a copy of torchreid.
        FileExistsError: If a file to be written exists.
    """
    folder = torchreid_folder or Path(torchreid.__file__).parent
    part, tree = find_part(name), Tree(folder)
    exported = export(part, tree)
    trial = try_out(exported, part, tree, root)
    return Exported(tree.folder, trial, write(exported, tree, out))
