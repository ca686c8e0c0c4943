"""Writes a part as torchreid's own file, and what its factory needs as a patch."""

import difflib
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from torchreid_occ.models.clip_model import torchreid_builder
from torchreid_occ.upstream.flat import flatten
from torchreid_occ.upstream.source import ModuleSource
from torchreid_occ.upstream.tree import with_entry, with_import
from torchreid_occ.utils.files import write_text
from torchreid_occ.version import __version__

PATCH = "factory.patch"
OWN_MARK = re.compile(r"  # noqa: \w+")  # of a linter torchreid does not use


class Export(NamedTuple):
    """New contents of files of a tree.

    path, source: the part's own file, which may take the place of one torchreid has; factories:
    the files that list it, by path, none where torchreid lists its name already.
    """

    path: Path
    source: str
    factories: dict[Path, str]


def export(part, tree):
    """Makes the files of a part for a tree of torchreid; writes nothing.

    Args:
        part: The `Part`.
        tree: The `Tree`.

    Returns:
        An `Export`.

    Raises:
        ValueError: If the part needs something that cannot be moved to torchreid's tree.
    """
    factory, table = part.factory
    listed = tree.table(factory, table).get(part.name)
    source = _source(part, tree, listed or part.definition.__name__)
    factories = {} if listed else _factories(part, tree)
    return Export(tree.path(part.module), source, factories)


def write(exported, tree, folder):
    """Writes a part's file, and the patch of the factories if there is one; returns their paths.

    Args:
        exported: The part.
        tree: The tree of torchreid that it was exported for.
        folder: Where the files go.

    Raises:
        FileExistsError: If one of them is there already.
    """
    texts = {Path(folder, _below(exported.path, tree)): exported.source}
    if exported.factories:
        changes = (_difference(path, text, tree) for path, text in exported.factories.items())
        texts[Path(folder, PATCH)] = "".join(changes)
    for path in texts:
        if path.exists():
            raise FileExistsError(f"{path} is there already: remove it, or export elsewhere.")
    for path, text in texts.items():
        write_text(path, text)
    return [*texts]


def _source(part, tree, name):
    """The text of the part's file, in which torchreid finds it by `name`."""
    own = part.definition.__name__
    roots = [(part.definition.__module__, own)]
    if part.kind == "model":
        roots.append((torchreid_builder.__module__, torchreid_builder.__name__))
    flat = flatten(*roots)
    taken = sorted(
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
        end = ["", "", "# What torchreid's factory calls.", f"{name} = torchreid_builder({own})"]
    else:
        head += ["", *taken]
        end = ["", "", f"{name} = {own}  # as torchreid calls it"] if name != own else []
    body = OWN_MARK.sub("", flat.body)
    return "\n".join([*head, "", "", body, *end, ""])


def _import_lines(imports):
    """Import statements, one for each module."""
    names = defaultdict(list)
    lines = []
    for module, original, here in sorted(imports, key=str):
        if original is not None:
            names[module].append(original if original == here else f"{original} as {here}")
        elif here == module.partition(".")[0]:
            lines.append(f"import {module}")
        else:
            lines.append(f"import {module} as {here}")
    return lines + [f"from {module} import {', '.join(names[module])}" for module in names]


def _factories(part, tree):
    """The files of torchreid that list a part, with it."""
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


def _difference(path, text, tree):
    """A file's change as a unified diff, for `git apply` beside the package."""
    name = _below(path, tree)
    before = path.read_text(encoding="utf-8").splitlines(keepends=True)
    after = text.splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(lines)


def _below(path, tree):
    return path.relative_to(tree.folder.parent).as_posix()


def _inside(module):
    """A module's name inside torchreid, in either layout."""
    return module.removeprefix("torchreid.").removeprefix("reid.")
