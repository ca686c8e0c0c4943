"""The package's imports, read with `ast`: no circles, no detours, and no way from a floor up."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "torchreid_occ"
ROOT = Path(__file__).parents[2] / PACKAGE

# From the ground up. A part (a module, or a package with all in it) imports itself and what stands
# on lower floors; of two parts that fit a module, the longer name counts.
FLOORS = (
    {"_registry", "_types", "version"},
    {"utils"},
    {"_torchreid"},
    {"config", "ops"},
    {"data"},
    {"metrics"},
    {"models", "occwalk"},
    {"losses", "occlusion"},
    {"engine", "visualization"},
    {"completion"},
    {"annotate", "registry"},
    {"runs"},
    {"completion.builders"},
    {"completion.tasks"},
    {"runs.phases"},
    {"runs.splits"},
    {"embedders"},
    {"export", "extractor", "upstream", "visualization.pictures"},
    {"calibration", "footage"},
    {"search"},
    {"extraction"},
    {"identities"},
    {"report"},
    {"studies"},
    {"cli"},
    {"__main__"},
)
FLOOR_OF = {part: number for number, parts in enumerate(FLOORS) for part in parts}

# Modules that import by name: the lazy public face, the old names, optional packages, and the
# command line.
COMMAND_LINE = {f"{PACKAGE}.cli.command", f"{PACKAGE}.cli.libraries"}
BY_NAME = {PACKAGE, f"{PACKAGE}.utils.dependencies", *COMMAND_LINE}

# `trial_step` is a script that runs in torchreid's own checkout, without this package.
TORCHREID = {f"{PACKAGE}._torchreid", f"{PACKAGE}.upstream.trial_step"}


class Import(NamedTuple):
    """A module that another imports, where, and whether that is at the top of the file."""

    target: str
    line: int
    at_top: bool


def modules(root: Path) -> dict[str, ast.Module]:
    """Returns the syntax tree of each module of a package, by dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imports(tree: ast.Module, known: set[str]) -> Iterator[Import]:
    """Yields all that a module imports; `from package import module` imports the module."""
    at_top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [name if name in known else str(node.module) for name in names]
        else:
            continue
        for target in targets:
            yield Import(target, node.lineno, id(node) in at_top)


def parents(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts))}


def graph(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Returns which modules of the package each imports; of the root, at the top of its file.

    An import runs the `__init__` of every package around the target; those that are also around
    the importing module have begun to run before it.
    """
    edges = {}
    for name, tree in trees.items():
        found = imports(tree, {*trees})
        targets = {each.target for each in found if each.at_top or name != PACKAGE}
        targets = {target for target in targets if target in trees}
        around = {parent for target in targets for parent in parents(target)}
        edges[name] = targets | (around - parents(name) - {name})
    return edges


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Returns modules that import each other in a circle, or an empty list."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def part_of(module: str) -> str:
    """Returns the part of `FLOORS` that a module belongs to."""
    own = module.removeprefix(f"{PACKAGE}.")
    around = [own, *sorted(parents(own), key=len, reverse=True)]
    found = next((part for part in around if part in FLOOR_OF), None)
    assert found, f"{module} stands on no floor: give it one in FLOORS"
    return found


@cache
def trees() -> dict[str, ast.Module]:
    return modules(ROOT)


@cache
def edges() -> dict[str, set[str]]:
    return graph(trees())


@cache
def all_imports(name: str) -> list[Import]:
    return [*imports(trees()[name], {*trees()})]


def ours(name: str) -> list[Import]:
    return [each for each in all_imports(name) if each.target.split(".")[0] == PACKAGE]


def test_modules_import_each_other_in_no_circle():
    assert circle(edges()) == []


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "import p.b", "b.py": "from p import a"},
        {"a.py": "import p.b.c", "b/__init__.py": "import p.a", "b/c.py": ""},
        {"b/__init__.py": "from p.b.c import x", "b/c.py": "from p.b import y"},
        {"__init__.py": "from p.a import x", "a.py": "from p import x"},
    ],
    ids=["modules", "package's init", "package and module", "root"],
)
def test_circles_are_found(tmp_path, files):
    for name, text in {"__init__.py": "", **files}.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert circle(graph(modules(tmp_path / "p")))


def test_a_package_may_import_modules_that_import_each_other(tmp_path):
    files = {"__init__.py": "from p.b import x", "b.py": "from p import c", "c.py": "import os"}
    (tmp_path / "p").mkdir()
    for name, text in files.items():
        (tmp_path / "p" / name).write_text(text)
    found = graph(modules(tmp_path / "p"))
    assert found == {"p": {"p.b"}, "p.b": {"p.c"}, "p.c": set()}
    assert circle(found) == []


def test_own_modules_are_imported_at_the_top_only():
    """The command line apart, which is parsed before what it runs is imported."""
    inside = {
        f"{name}:{each.line}"
        for name in trees().keys() - {PACKAGE}
        for each in ours(name)
        if not each.at_top and not name.startswith(f"{PACKAGE}.cli.")
    }
    assert inside == set()


def test_the_root_imports_below_its_top_only_for_type_checkers():
    checked = [
        node
        for node in trees()[PACKAGE].body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    lines = {line for node in checked for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    assert [each.line for each in ours(PACKAGE) if not each.at_top and each.line not in lines] == []


def test_modules_are_imported_by_name_in_few_places_only():
    def calls_by_name(tree: ast.Module) -> bool:
        called = (ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call))
        return any(name.split(".")[-1] in ("import_module", "__import__") for name in called)

    assert {name for name, tree in trees().items() if calls_by_name(tree)} == BY_NAME


def test_torchreid_is_imported_in_one_place():
    importing = {
        name
        for name in trees()
        for each in all_imports(name)
        if each.target.split(".")[0] == "torchreid"
    }
    assert importing == TORCHREID


def test_the_tables_import_nothing_of_ours():
    assert ours(f"{PACKAGE}._registry") == []


def test_no_module_imports_from_a_higher_floor():
    upwards = []
    for name in trees().keys() - {PACKAGE}:
        for target in edges()[name] - {PACKAGE}:
            own, other = part_of(name), part_of(target)
            if own != other and FLOOR_OF[other] >= FLOOR_OF[own]:
                upwards.append(f"{name} imports {target}")
    assert sorted(upwards) == []


def test_test_files_have_names_of_their_own():
    """Two of one name cannot be collected together: pytest imports them by it."""
    counts = Counter(path.name for path in ROOT.with_name("tests").rglob("test_*.py"))
    assert [name for name, count in counts.items() if count > 1] == []
