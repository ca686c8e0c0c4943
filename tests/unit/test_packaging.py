"""The wheel holds all that an installed package needs."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from support import REPOSITORY

from torchreid_occ import __version__

PACKAGED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "torchreid_occ_command.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built as pip builds it, from a copy, as it leaves files in the folder."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGED:
        shutil.copy(REPOSITORY / name, source)
    built = shutil.ignore_patterns("__pycache__", "build")
    shutil.copytree(REPOSITORY / "torchreid_occ", source / "torchreid_occ", ignore=built)
    shutil.copytree(REPOSITORY / "configs", source / "configs")
    backend = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", backend], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(source / done.stdout.splitlines()[-1]) as archive:
        yield archive


def below(folder, pattern):
    paths = (REPOSITORY / folder).rglob(pattern)
    return {path.relative_to(REPOSITORY).as_posix() for path in paths if path.is_file()}


def test_every_module_and_every_file_is_in_it(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = below("torchreid_occ", "*.py") | {"torchreid_occ_command.py", "torchreid_occ/py.typed"}
    wanted |= {f"torchreid_occ/{name}" for name in below("configs", "*.yaml")}
    wanted |= below("torchreid_occ/ops/csrc", "*") | below("torchreid_occ/report/templates", "*")
    wanted |= below("torchreid_occ/search", "*.html") | below("torchreid_occ/search", "*.js")
    wanted |= {f"torchreid_occ/{page}.html" for page in ("footage/sheet", "identities/page")}
    assert names == wanted


def test_the_command_and_the_version_are_in_it(wheel):
    folder = f"torchreid_occ-{__version__}.dist-info"
    entry = wheel.read(f"{folder}/entry_points.txt").decode()
    assert entry == "[console_scripts]\ntorchreid-occ = torchreid_occ_command:main\n"
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "\nName: torchreid-occ\n" in metadata
    extras = re.findall(r"^Provides-Extra: (.*)$", metadata, re.M)
    assert extras == [
        "export", "openvino", "annotate", "footage", "search", "calibration", "qdrant", "timm",
        "interchange", "ray", "postgres", "weights", "serve", "docs", "dev",
    ]  # fmt: skip


def test_setup_imports_neither_torch_nor_the_package():
    tree = ast.parse((REPOSITORY / "setup.py").read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported == ["setuptools"]
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert re.fullmatch(
        r'"""[^"]*"""\n+__version__ = "[\d.]+"\n',
        (REPOSITORY / "torchreid_occ" / "version.py").read_text(),
    )
