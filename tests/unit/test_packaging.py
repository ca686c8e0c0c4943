import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_packaging_imports_neither_torch_nor_the_package():
    code = (
        "import runpy, sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchreid', 'torchreid_occ']))\n"
        "sys.argv = ['setup.py', '--version']\n"
        "runpy.run_path('setup.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    from torchreid_occ.version import __version__

    assert done.stdout.strip().splitlines()[-1] == __version__, done.stderr


def test_every_package_of_the_tree_is_shipped():
    from setuptools import find_packages

    shipped = set(find_packages(str(REPOSITORY), include=["torchreid_occ", "torchreid_occ.*"]))
    folders = {
        ".".join(path.parent.relative_to(REPOSITORY).parts)
        for path in (REPOSITORY / "torchreid_occ").rglob("*.py")
    }
    assert folders == shipped
