"""Puts definitions, and all that they need from this package, into one source."""

import ast
import functools
import inspect
from collections import Counter
from collections.abc import Collection
from graphlib import TopologicalSorter
from operator import attrgetter
from typing import NamedTuple

from torchreid_occ._torchreid import torchreid
from torchreid_occ.upstream.source import ModuleSource

PACKAGE = "torchreid_occ"
TORCHREID = ("torchreid_occ._torchreid", "torchreid")  # where the package imports torchreid

read_module = functools.cache(ModuleSource)


class Flat(NamedTuple):
    """A source without its import statements.

    Attributes:
        body: The definitions.
        imports: Imports from other packages as `(module, its name there, its name here)`; the name
            there is None for a module itself.
        torchreid: Classes of torchreid.
    """

    body: str
    imports: set[tuple[str, str | None, str]]
    torchreid: set[type]


def flatten(*roots: tuple[str, str]) -> Flat:
    """Puts definitions, and what they need from this package, into one source.

    Definitions keep the order of their modules; a module follows those it imports from.

    Args:
        *roots: `(module, name)` of the definitions.

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
    """Collects what definitions need.

    Attributes:
        names: Needed names by module.
        modules: For each module those it imports from.
        imports: See `Flat`.
        torchreid: Classes of torchreid by their dotted path in the package's source.
    """

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.modules: dict[str, list[str]] = {}
        self.imports: set[tuple[str, str | None, str]] = set()
        self.torchreid: dict[str, type] = {}

    def add(self, module: str, name: str) -> None:
        """Adds a definition and all that it reads.

        Args:
            module: Dotted name of the module.
            name: Name of the definition.
        """
        names = self.names.setdefault(module, set())
        if name in names:
            return
        names.add(name)
        imported_from = self.modules.setdefault(module, [])
        source = read_module(module)
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
                if original is None or original != used:
                    raise ValueError(f"{original} in {origin} is called {used} in {module}.")
                home = _defining_module(origin, original)
                imported_from.append(home)
                self.add(home, original)
            elif origin:
                self.imports.add((origin, original, used))

    def check_names(self) -> None:
        """Checks that no two things have one name.

        Raises:
            ValueError: If two have; names them.
        """
        given = [name for names in self.names.values() for name in names]
        given += [name for *_, name in self.imports]
        given += [found.__name__ for found in self.torchreid.values()]
        twice = sorted(name for name, count in Counter(given).items() if count > 1)
        if twice:
            raise ValueError(f"In one file, {twice} would be two things each: rename one of them.")


def _defining_module(module: str, name: str) -> str:
    """Returns the module that defines a name; packages import names that others define."""
    source = read_module(module)
    if name in source.definitions:
        return module
    origin, original = source.imports.get(name, (None, None))
    if origin is None or original != name:
        raise ValueError(f"{name} is not defined in {module}, from which it is imported.")
    return _defining_module(origin, name)


def _check_inner_imports(where: str, statement: ast.stmt) -> None:
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            raise ValueError(f"{where} imports {node.module} when it runs: import it at the top.")


def _torchreid_classes(statement: ast.stmt) -> dict[str, type]:
    """Returns the classes of torchreid in a definition, by their dotted path there."""
    paths = {ast.unparse(node) for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
    found = {
        path: attrgetter(path.removeprefix("torchreid."))(torchreid)
        for path in paths
        if path.startswith("torchreid.")
    }
    return {path: value for path, value in found.items() if inspect.isclass(value)}


def _section(module: str, names: Collection[str]) -> str:
    """Returns definitions of a module under a heading in the style of torchreid's files."""
    source = read_module(module)
    rule = "#" * 10
    return f"{rule}\n# {source.title}\n{rule}\n{source.text(names)}"
