"""Writes a part as a file of torchreid, and the changes of torchreid's factory as a patch."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.models.clip_model import torchreid_builder
from torchreid_occ.upstream.flat import flatten
from torchreid_occ.upstream.part import Part
from torchreid_occ.upstream.source import ModuleSource
from torchreid_occ.upstream.tree import Tree, with_entry, with_import
from torchreid_occ.utils.files import write_text
from torchreid_occ.version import __version__

PATCH = "factory.patch"
OWN_MARK = re.compile(r"  # noqa: \w+")  # for a linter that torchreid does not use


class Export(NamedTuple):
    """New contents of files of a tree.

    Attributes:
        path: File of the part, which may replace a file of torchreid.
        source: Content of that file.
        factories: New contents of the files that list the part, by path; empty if torchreid lists
            its name already.
    """

    path: Path
    source: str
    factories: dict[Path, str]


def export(part: Part, tree: Tree) -> Export:
    """Makes the files of a part for a tree of torchreid, without writing them.

    Args:
        part: The part.
        tree: The tree.

    Raises:
        ValueError: If the part needs something that cannot be moved to torchreid's tree.
    """
    factory, table = part.factory
    listed = tree.table(factory, table).get(part.name)
    source = _source(part, tree, listed or part.definition.__name__)
    factories = {} if listed else _factories(part, tree)
    return Export(tree.path(part.module), source, factories)


def write(exported: Export, tree: Tree, folder: StrPath) -> list[Path]:
    """Writes a part's file, and the patch of the factories if there is one.

    Args:
        exported: The part.
        tree: The tree of torchreid that it was exported for.
        folder: Folder that the files are written to.

    Returns:
        Paths of the files.

    Raises:
        FileExistsError: If one of the files exists.
    """
    texts = {Path(folder, _below(exported.path, tree)): exported.source}
    if exported.factories:
        changes = (_difference(path, text, tree) for path, text in exported.factories.items())
        texts[Path(folder, PATCH)] = "".join(changes)
    for path in texts:
        if path.exists():
            raise FileExistsError(f"{path} exists: remove it, or export into another folder.")
    for path, text in texts.items():
        write_text(path, text)
    return [*texts]


def _source(part: Part, tree: Tree, name: str) -> str:
    """Returns the content of the part's file, in which torchreid finds it by `name`."""
    own = part.definition.__name__
    roots = [(part.definition.__module__, own)]
    if part.kind == "model":
        roots.append((torchreid_builder.__module__, torchreid_builder.__name__))
    flat = flatten(*roots)
    own_imports = sorted(
        tree.import_line(part.module, _inside(found.__module__), found.__name__)
        for found in flat.torchreid
    )
    title = ModuleSource(part.definition.__module__).title
    head = [
        f'"""{title}\n\nExported from torchreid_occ {__version__}.\n"""',
        "from __future__ import division, print_function, absolute_import",
        *_import_lines(flat.imports),
    ]
    end = []
    if part.kind == "model":
        head += ["", f"__all__ = ['{name}']"]
        end = [
            "",
            "",
            "# The builder that torchreid's factory calls.",
            f"{name} = torchreid_builder({own})",
        ]
    else:
        head += ["", *own_imports]
        end = ["", "", f"{name} = {own}  # its name in torchreid"] if name != own else []
    body = OWN_MARK.sub("", flat.body)
    return "\n".join([*head, "", "", body, *end, ""])


def _import_lines(imports: Iterable[tuple[str, str | None, str]]) -> list[str]:
    """Returns import statements, one for each module."""
    names: dict[str, list[str]] = defaultdict(list)
    lines = []
    for module, original, here in sorted(imports, key=str):
        if original is not None:
            names[module].append(original if original == here else f"{original} as {here}")
        elif here == module.partition(".")[0]:
            lines.append(f"import {module}")
        else:
            lines.append(f"import {module} as {here}")
    return lines + [f"from {module} import {', '.join(names[module])}" for module in names]


def _factories(part: Part, tree: Tree) -> dict[Path, str]:
    """Returns the files of torchreid that list parts, with this part added."""
    factory, table = part.factory
    name = part.definition.__name__
    path = tree.path(factory)
    text = path.read_text(encoding="utf-8")
    if part.kind == "model":
        text = with_import(text, tree.import_line(factory, part.module, "*"))
        return {path: with_entry(text, table, part.name, name)}
    package = part.module.rpartition(".")[0]
    readers = tree.path(f"{package}.__init__")
    line = tree.import_line(f"{package}.__init__", part.module, name)
    text = with_import(text, tree.import_line(factory, package, name))
    return {
        readers: with_import(readers.read_text(encoding="utf-8"), line),
        path: with_entry(text, table, part.name, name),
    }


def _difference(path: Path, text: str, tree: Tree) -> str:
    """Returns a file's change as a unified diff, for `git apply` in the package's parent folder."""
    name = _below(path, tree)
    before = path.read_text(encoding="utf-8").splitlines(keepends=True)
    after = text.splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(lines)


def _below(path: Path, tree: Tree) -> str:
    return path.relative_to(tree.folder.parent).as_posix()


def _inside(module: str) -> str:
    """Returns a module's name inside torchreid, in either layout."""
    return module.removeprefix("torchreid.").removeprefix("reid.")
