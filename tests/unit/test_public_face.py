"""What `import torchreid_occ` offers, and what it costs."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import torchreid_occ
from torchreid_occ._registry import IMAGE_DATASETS, MODELS, VIDEO_DATASETS
from torchreid_occ._torchreid import factory_table, torchreid

# Libraries that take long to import and that only a part of the package needs.
HEAVY = {
    "cv2",
    "faiss",
    "h5py",
    "jinja2",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "qdrant_client",
    "scipy",
    "skimage",
    "supervision",
    "tensorboard",
    "trackers",
}
# Parts of the package that registration does not need.
LATE = {"annotate", "cli", "engine", "footage", "report", "runs", "search", "studies", "upstream"}
CLASSES = {"ClipDataManager", "ClipEngine", "Gallery", "TrackletExtractor"}


def printed(code):
    """Returns the words that Python code prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_loads_no_library_that_torchreid_does_not_need():
    code = (
        "import sys, torch, torchvision, torchreid\n"
        "before = {*sys.modules}\n"
        "import torchreid_occ\n"
        "print(*sys.modules.keys() - before)\n"
    )
    loaded = printed(code)
    assert "torchreid_occ.registry" in loaded
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()
    own = {name.split(".")[1] for name in loaded if name.startswith("torchreid_occ.")}
    assert own & LATE == set()


@pytest.mark.parametrize("name", sorted({*torchreid_occ.__all__} - {"__version__"}))
def test_public_names_are_what_they_say(name):
    value = getattr(torchreid_occ, name)
    assert value.__name__ == ("run_config" if name == "run" else name)
    assert value.__module__.startswith("torchreid_occ.")
    assert inspect.isclass(value) == (name in CLASSES)
    assert inspect.getdoc(value)
    assert name in dir(torchreid_occ)


def test_a_star_import_brings_the_public_names():
    names = {}
    exec("from torchreid_occ import *", names)
    assert {*torchreid_occ.__all__} <= names.keys()


def test_type_checkers_see_the_same_objects():
    tree = ast.parse(Path(torchreid_occ.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(checked.test) == "TYPE_CHECKING"
    seen = {
        alias.asname or alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in checked.body
        for alias in node.names
    }
    assert seen == {name: getattr(torchreid_occ, name) for name in seen}
    assert seen.keys() | {"__version__"} == {*torchreid_occ.__all__}


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(
        AttributeError, match="module 'torchreid_occ' has no attribute 'build_modl'"
    ):
        torchreid_occ.build_modl  # noqa: B018


def test_registering_again_changes_nothing():
    tables = [
        factory_table(torchreid.models, "__model_factory"),
        factory_table(torchreid.data.datasets, "__video_datasets"),
        factory_table(torchreid.data.datasets, "__image_datasets"),
    ]
    before = [dict(table) for table in tables]
    torchreid_occ.register()
    assert tables == before
    models, video, image = before
    assert MODELS.keys() <= models.keys()
    assert VIDEO_DATASETS.keys() <= video.keys()
    assert IMAGE_DATASETS.keys() <= image.keys()
    assert video["mars"] is torchreid.data.datasets.video.Mars  # torchreid's stay its own
    assert VIDEO_DATASETS["mars"] is not video["mars"]
