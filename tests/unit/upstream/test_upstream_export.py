"""Files for both layouts of torchreid: their places, import style and factory lines."""

import ast
import subprocess
from pathlib import Path

import pytest
from support import write_upstreams_torchreid

import torchreid_occ.upstream.part as parts
from torchreid_occ._torchreid import torchreid
from torchreid_occ.upstream import Tree, export, find_part, write

EXPORTED = [
    *("baseline", "qan", "rfcnet", "rru_stim", "trl_st2n", "vrstc"),
    *("dukemtmcvidreid", "ilidsvid", "lsvid", "mars", "msmt17", "occluded_dukemtmcreid"),
    *("occluded_dukemtmcvidreid", "prid2011", "sduvid", "tracklet_folder", "xmars"),
]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    return Tree(write_upstreams_torchreid(tmp_path_factory.mktemp("upstream")))


@pytest.fixture(scope="module")
def pypi():
    return Tree(Path(torchreid.__file__).parent)


def imported(source):
    """Modules a source imports, dots included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found.add("." * node.level + node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_parts_do_not_import_the_package(name, upstream, pypi):
    part = find_part(name)
    for tree, base in ((pypi, "torchreid.reid.data.datasets.dataset"), (upstream, "..dataset")):
        modules = imported(export(part, tree).source)
        assert not [module for module in modules if module.startswith("torchreid_occ")]
        assert (base in modules) == (part.kind != "model")


def test_every_name_is_exported_or_refused():
    names = {name for table in parts.TABLES.values() for name in table}
    refused = {n for n in names if n in ("completed", "occluded") or n.startswith("occwalk")}
    assert names - refused == set(EXPORTED)
    for name in refused:
        with pytest.raises(ValueError, match=f"{name} cannot be exported: it .* `import torch"):
            find_part(name)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(KeyError, match=r'"nope", but expected a model .*mars.*rfcnet'):
        find_part("nope")


def test_a_folder_that_is_not_torchreid_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder named torchreid"):
        Tree(tmp_path)


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "rfcnet",
            {
                "models/__init__.py": [
                    "+from .rfcnet import *",
                    "-    'osnet_ain_x0_25': osnet_ain_x0_25",
                    "+    'osnet_ain_x0_25': osnet_ain_x0_25,",
                    "+    'rfcnet': rfcnet",
                ]
            },
        ),
        (
            "sduvid",
            {
                "data/datasets/video/__init__.py": ["+from .sduvid import SDUVID"],
                "data/datasets/__init__.py": [
                    "+from .video import SDUVID",
                    "-    'dukemtmcvidreid': DukeMTMCVidReID",
                    "+    'dukemtmcvidreid': DukeMTMCVidReID,",
                    "+    'sduvid': SDUVID",
                ],
            },
        ),
    ],
)
def test_the_patch_adds_the_lines_and_applies(name, expected, upstream, tmp_path):
    module, patch = write(export(find_part(name), upstream), upstream, tmp_path / "export")
    changed = {}
    for line in patch.read_text().splitlines():
        if line.startswith("+++ b/torchreid/"):
            lines = changed.setdefault(line.removeprefix("+++ b/torchreid/"), [])
        elif line[0] in "+-" and not line.startswith("---"):
            lines.append(line)
    assert changed == expected
    folder = "models" if name == "rfcnet" else "data/datasets/video"
    assert module == tmp_path / "export" / "torchreid" / folder / f"{name}.py"
    target = write_upstreams_torchreid(tmp_path).parent
    subprocess.run(["git", "apply", patch], cwd=target, check=True)
    factory = (target / "torchreid" / [*expected][-1]).read_text()
    assert f"    '{name}': {find_part(name).definition.__name__}\n}}" in factory


def test_a_dataset_of_torchreid_is_replaced_under_its_name(pypi, tmp_path):
    (path,) = write(export(find_part("ilidsvid"), pypi), pypi, tmp_path)
    assert path == tmp_path / "torchreid/reid/data/datasets/video/ilidsvid.py"
    assert path.read_text().endswith("\niLIDSVID = ILIDSVID  # its name in torchreid\n")


def test_existing_files_are_not_overwritten(upstream, tmp_path):
    exported = export(find_part("rfcnet"), upstream)
    (tmp_path / "factory.patch").write_text("mine")
    with pytest.raises(FileExistsError, match=r"factory\.patch exists"):
        write(exported, upstream, tmp_path)
    assert not (tmp_path / "torchreid").exists()
    assert (tmp_path / "factory.patch").read_text() == "mine"
