"""Definitions that can, and that cannot, be moved into one source."""

import ast

import pytest
import torch
from torch import nn

from torchreid_occ._torchreid import torchreid
from torchreid_occ.models.layers.trfc import TRFC
from torchreid_occ.upstream import flat
from torchreid_occ.upstream.flat import flatten
from torchreid_occ.upstream.source import ModuleSource


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes modules `torchreid_occ.<name>` that exist for the test alone."""
    monkeypatch.setattr(flat, "read_module", lambda name: ModuleSource(name))
    found = {}

    def origin(name):
        return type("Spec", (), {"origin": found[name]})

    monkeypatch.setattr("torchreid_occ.upstream.source.importlib.util.find_spec", origin)

    def write(name, text):
        found[f"torchreid_occ.{name}"] = tmp_path / f"{name}.py"
        found[f"torchreid_occ.{name}"].write_text(f'"""Module {name}."""\n\n{text}')

    return write


def test_a_layer_computes_the_same_without_the_package():
    taken = flatten((TRFC.__module__, "TRFC"))
    assert taken.imports == {
        ("collections.abc", "Iterable", "Iterable"),
        ("torch", None, "torch"),
        ("torch", "nn", "nn"),
        ("torch", "Tensor", "Tensor"),
        ("typing", "NamedTuple", "NamedTuple"),
    }
    names = {"torch": torch, "nn": nn, "Tensor": torch.Tensor}
    lines = ["from collections.abc import Iterable", "from typing import NamedTuple", taken.body]
    exec("\n".join(lines), names)
    own, moved = TRFC(8), names["TRFC"](8)
    moved.load_state_dict(own.state_dict())
    features = torch.rand(6, 2, 8)
    assert moved(features, 3).completed.equal(own(features, 3).completed)


def test_needed_definitions_only_in_an_order_that_works(package):
    package("low", "SCALE, UNUSED = 2, 3\n\n\ndef unused():\n    return 1\n")
    package(
        "middle",
        "from torchreid_occ.low import SCALE\n\n"
        "# Twice the scale.\nDOUBLE = 2 * SCALE\n\n\n"
        "class Base:\n    size = DOUBLE\n",
    )
    package(
        "top",
        "import math\nimport os\n\n"
        "from torchreid_occ.low import SCALE\nfrom torchreid_occ.middle import Base\n\n\n"
        "@staticmethod\ndef build():\n    return Top()\n\n\n"
        "class Top(Base):\n    root = math.sqrt(SCALE)\n",
    )
    taken = flatten(("torchreid_occ.top", "build"))
    bound = [ast.unparse(node).split("\n")[0] for node in ast.parse(taken.body).body]
    assert bound == [
        ast.unparse(ast.parse("SCALE, UNUSED = (2, 3)")),  # one statement
        "DOUBLE = 2 * SCALE",
        "class Base:",
        "@staticmethod",
        "class Top(Base):",
    ]
    assert "# Module middle.\n##########\n# Twice the scale.\nDOUBLE" in taken.body
    assert taken.imports == {("math", None, "math")}


def test_annotated_assignments_and_registrations(package):
    package("types", "from typing import TypeAlias\n\nSize: TypeAlias = tuple[int, int]\n")
    package(
        "model",
        "import functools\n\n"
        "from torchreid_occ._registry import register_model\n"
        "from torchreid_occ.types import Size\n\n"
        "LIMIT: int = 3\nUNUSED: int = 4\n\n\n"
        "# The model.\n"
        '@register_model(\n    "one"\n)\n@functools.cache\n@register_model("two")\n'
        "def build(size: Size) -> int:\n    return min(size[0], LIMIT)\n",
    )
    taken = flatten(("torchreid_occ.model", "build"))
    assert taken.imports == {
        ("typing", "TypeAlias", "TypeAlias"),
        ("functools", None, "functools"),
    }
    assert taken.body.split("##########\n# Module model.\n##########\n")[1] == (
        "LIMIT: int = 3\n\n\n# The model.\n@functools.cache\n"
        "def build(size: Size) -> int:\n    return min(size[0], LIMIT)"
    )
    assert "Size: TypeAlias = tuple[int, int]" in taken.body and "register" not in taken.body


def test_classes_of_torchreid_lose_their_path(package):
    package(
        "reader",
        "from torchreid_occ._torchreid import torchreid\n\n\n"
        "class Reader(torchreid.data.VideoDataset):\n    pass\n",
    )
    taken = flatten(("torchreid_occ.reader", "Reader"))
    assert taken.torchreid == {torchreid.data.VideoDataset}
    assert "class Reader(VideoDataset):" in taken.body


@pytest.mark.parametrize(
    "text, message",
    [
        ("print(1)\n\n\ndef a():\n    pass\n", "Line 3 of torchreid_occ.odd neither defines"),
        (
            "def a():\n    from torchreid_occ.other import b\n    return b\n",
            "a in torchreid_occ.odd imports torchreid_occ.other when it runs",
        ),
        (
            "from torchreid_occ.other import b as c\n\n\ndef a():\n    return c\n",
            "b in torchreid_occ.other is called c in torchreid_occ.odd",
        ),
        (
            "from torchreid_occ.other import b, missing\n\n\ndef a():\n    return missing\n",
            "missing is not defined in torchreid_occ.other",
        ),
        (
            "from torchreid_occ.other import b\n\n\ndef d():\n    pass\n\n\n"
            "def a():\n    return b() + d()\n",
            r"\['d'\] would be two things each",
        ),
    ],
)
def test_definitions_that_cannot_be_moved(package, text, message):
    package("odd", text)
    package("other", "def d():\n    pass\n\n\ndef b():\n    return d()\n")
    with pytest.raises(ValueError, match=message):
        flatten(("torchreid_occ.odd", "a"))
