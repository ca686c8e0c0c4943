import ast
import importlib
import inspect
import pkgutil
import re
from unittest.mock import patch

import pytest
from documentation import PAGES, code_blocks, code_spans, named_tests
from support import REPOSITORY

import torchreid_occ
from torchreid_occ.config.schema import defaults
from torchreid_occ.losses import CRITERIA
from torchreid_occ.models import MODELS

WITH_CODE = [page for page in PAGES if code_blocks(page, "python")]
# Begins a block that is not run: it needs the reader's own files, or takes long.
MARK = "# takes "
UPGRADING = REPOSITORY / "UPGRADING.md"
FILES = (".csv", ".html", ".json", ".md", ".py", ".txt", ".yaml")
# Modules that may change at any time are no part of the reference.
INTERNAL = tuple(
    f"torchreid_occ.{name}" for name in ("_", "cli", "occwalk", "utils", "version", "__main__")
)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_examples_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other in one namespace."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    with patch.dict(MODELS), patch.dict(CRITERIA):  # definitions of a page are removed after it
        for code in code_blocks(page, "python"):
            compiled = compile(code, page.name, "exec")
            if code.startswith(MARK):
                check_calls(ast.parse(code), names)
            else:
                exec(compiled, names)


def check_calls(tree, names):
    """Runs the imports of a block, and checks the names and keywords that it uses of them."""
    for statement in ast.walk(tree):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            exec(compile(ast.Module([statement], []), "<imports>", "exec"), names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = looked_up(node.func, names)
            if function is not None:
                check_arguments(inspect.signature(function), node)
        elif isinstance(node, ast.Attribute):
            looked_up(node, names)


def check_arguments(signature, call):
    known = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    keywords = dict.fromkeys(keyword.arg for keyword in call.keywords if keyword.arg)
    whole = len(known) + len(keywords) == len(call.args) + len(call.keywords)
    (signature.bind if whole else signature.bind_partial)(*known, **keywords)


def looked_up(node, names):
    """Returns the object of a dotted name that begins with an import; fails if there is none."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = looked_up(node.value, names)
        return None if owner is None else getattr(owner, node.attr)
    return None


@pytest.mark.parametrize("code", ["import torch\ntorch.no_such()", "from torch import no_such"])
def test_marked_examples_are_checked_by_name(code):
    with pytest.raises((AttributeError, ImportError), match="no_such"):
        check_calls(ast.parse(code), {})


@pytest.mark.parametrize("arguments", ["'x', no_such=1", "*x, no_such=1"])
def test_marked_examples_are_checked_by_keyword(arguments):
    code = f"from torchreid_occ import TrackletExtractor\nTrackletExtractor({arguments})"
    with pytest.raises(TypeError, match="no_such"):
        check_calls(ast.parse(code), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    named = set(re.findall(r"(?:configs|tools|docs)/[\w/]+\.(?:yaml|py|md|png)", page.read_text()))
    written = {"configs/strips.yaml"}  # written by the reader of docs/extending.md
    assert not [name for name in named - written if not (REPOSITORY / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_tests_exist(page):
    files = {path.name: path.read_text() for path in (REPOSITORY / "tests").rglob("*.py")}
    missing = [f"{file}::{name}" for file, name in named_tests(page)
               if f"def {name}(" not in files.get(file, "")]  # fmt: skip
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_code_exists(page):
    """Dotted names that begin with a subpackage's name can be imported."""
    check_names(code_spans(page))


def test_new_names_of_the_upgrade_exist():
    rows = re.findall(r"^\| .* \| (.*) \|$", UPGRADING.read_text(), re.M)
    names = re.findall(r"`([\w.]+)`", " ".join(rows))
    assert "runs.folder.product_of" in names
    check_names(names)


def check_names(names):
    modules = pkgutil.iter_modules(torchreid_occ.__path__)
    packages = {module.name for module in modules if module.ispkg}
    for dotted in names:
        name = dotted.removeprefix("torchreid_occ.")
        if not re.fullmatch(r"\w+(\.\w+)+", name) or name.endswith(FILES):
            continue
        first, second, *_ = name.split(".")
        is_key = second in defaults().get(first, ())
        if first in packages and not is_key:
            pkgutil.resolve_name(f"torchreid_occ.{name}")


def test_the_reference_has_every_public_module():
    pages = (REPOSITORY / "docs" / "api").glob("*.md")
    listed = [
        name for page in pages for name in re.findall(r"automodule:: (\S+)", page.read_text())
    ]
    modules = pkgutil.walk_packages(torchreid_occ.__path__, "torchreid_occ.")
    public = {
        module.name
        for module in modules
        if not module.name.startswith(INTERNAL) and defines_something(module.name)
    }
    assert len(listed) == len(set(listed))
    missing, gone = sorted(public - set(listed)), sorted(set(listed) - public)
    assert not missing, f"docs/api lacks {missing}"
    assert not gone, f"docs/api lists {gone}, which define nothing"


def defines_something(name):
    own = (
        item
        for key, item in vars(importlib.import_module(name)).items()
        if not key.startswith("_") and getattr(item, "__module__", None) == name
    )
    return any(inspect.isclass(item) or inspect.isfunction(item) for item in own)
