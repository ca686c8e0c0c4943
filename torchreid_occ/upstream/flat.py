"""One flat source of definitions and of all that they need from this package."""

import ast
import functools
import inspect
from collections import Counter
from graphlib import TopologicalSorter
from operator import attrgetter
from typing import NamedTuple

from torchreid_occ._torchreid import torchreid
from torchreid_occ.upstream.source import ModuleSource

PACKAGE = "torchreid_occ"
TORCHREID = ("torchreid_occ._torchreid", "torchreid")  # where the package reaches torchreid

read_module = functools.cache(ModuleSource)


class Flat(NamedTuple):
    """A source without its import statements.

    body: the definitions; imports: what comes from other packages, as `(module, its name there,
    its name here)`, the name there None for a module itself; torchreid: classes of torchreid.
    """

    body: str
    imports: set[tuple[str, str | None, str]]
    torchreid: set[type]


def flatten(*roots):
    """Puts definitions, and what they need from this package, into one source.

    Definitions keep the order of their modules; a module follows those it takes from.

    Args:
        *roots: `(module, name)` of the definitions.

    Returns:
        A `Flat`.

    Raises:
        ValueError: If something cannot be moved to another file; says what and why.
    """
    needs = _Needs()
    for module, name in roots:
        needs.add(module, name)
    needs.check_names()
    order = TopologicalSorter(needs.modules).static_order()
    body = "\n\n\n".join(_section(module, needs.names[module]) for module in order)
    for path in needs.torchreid:
        body = body.replace(path, path.rpartition(".")[2])
    return Flat(body, needs.imports, {*needs.torchreid.values()})


class _Needs:
    """What is needed so far.

    names: needed names by module; modules: for each module those it takes from; imports: as in
    `Flat`; torchreid: classes of torchreid by how the package writes them.
    """

    def __init__(self):
        self.names, self.modules, self.imports, self.torchreid = {}, {}, set(), {}

    def add(self, module, name):
        """Adds a definition and what it reads."""
        names = self.names.setdefault(module, set())
        if name in names:
            return
        names.add(name)
        takes_from = self.modules.setdefault(module, [])
        source = read_module(module)
        if name not in source.definitions:
            raise ValueError(f"{name} is not defined in {module}, which it is taken from.")
        statement = source.definitions[name]
        _check_inner_imports(f"{name} in {module}", statement)
        read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        for used in sorted(read):
            origin, original = source.imports.get(used, (None, None))
            if used in source.definitions:
                self.add(module, used)
            elif (origin, original) == TORCHREID:
                self.torchreid |= _torchreid_classes(statement)
            elif origin and origin.startswith(PACKAGE):
                if original != used:
                    raise ValueError(f"{original} in {origin} is called {used} in {module}.")
                takes_from.append(origin)
                self.add(origin, original)
            elif origin:
                self.imports.add((origin, original, used))

    def check_names(self):
        """Refuses two things of one name."""
        given = [name for names in self.names.values() for name in names]
        given += [name for *_, name in self.imports]
        given += [found.__name__ for found in self.torchreid.values()]
        twice = sorted(name for name, count in Counter(given).items() if count > 1)
        if twice:
            raise ValueError(f"In one file, {twice} would be two things each: rename one of them.")


def _check_inner_imports(where, statement):
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(PACKAGE):
            raise ValueError(f"{where} imports {node.module} when it runs: import it at the top.")


def _torchreid_classes(statement):
    """Classes of torchreid that a definition reaches as attributes, by their dotted path."""
    paths = {ast.unparse(node) for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
    found = {
        path: attrgetter(path.removeprefix("torchreid."))(torchreid)
        for path in paths
        if path.startswith("torchreid.")
    }
    return {path: value for path, value in found.items() if inspect.isclass(value)}


def _section(module, names):
    """Definitions of a module under a heading, as torchreid's own files have them."""
    source = read_module(module)
    rule = "#" * 10
    return f"{rule}\n# {source.title}\n{rule}\n{source.text(names)}"
