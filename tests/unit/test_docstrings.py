"""Every public docstring names the arguments of its signature, all and in order."""

import importlib
import inspect
import pkgutil

import pytest
from docstring_parser.google import DEFAULT_SECTIONS, GoogleParser, Section, SectionType

import torchreid_occ

PARSER = GoogleParser([*DEFAULT_SECTIONS, Section("Shape", "shape", SectionType.SINGULAR)])
STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
FOUND = pkgutil.walk_packages(torchreid_occ.__path__, "torchreid_occ.")
MODULES = [module.name for module in FOUND if not module.name.endswith("__main__")]
ELSEWHERE = {"check_arguments", "patch_attention_reference"}  # they say that they take another's


def documented(module):
    """Qualified name, docstring and arguments of what a module defines in public."""
    for name, item in vars(module).items():
        if name.startswith("_") or getattr(item, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(item):
            constructor = vars(item).get("__init__")
            yield item.__qualname__, item.__doc__, arguments(constructor) if constructor else []
            for method_name, method in vars(item).items():
                method = getattr(method, "__func__", method)  # of a class or static method
                if not method_name.startswith("_") and inspect.isfunction(method):
                    yield method.__qualname__, method.__doc__, arguments(method)
        elif inspect.isfunction(item):
            yield item.__qualname__, item.__doc__, arguments(item)


def arguments(function):
    """Names as a docstring spells them, without what a caller does not give."""
    own = inspect.unwrap(function)  # without the options that it passes on
    parameters = inspect.signature(own).parameters.values()
    names = [STARS.get(each.kind, "") + each.name for each in parameters]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("**_")]


@pytest.mark.parametrize("module", MODULES)
def test_arguments_are_those_of_the_signature(module):
    for name, docstring, expected in documented(importlib.import_module(module)):
        assert docstring, f"{name} has no docstring"
        found = PARSER.parse(inspect.cleandoc(docstring))
        named = [param.arg_name for param in found.params if param.args[0] == "param"]
        has_sections = any(meta.args[0] != "attribute" for meta in found.meta)
        if named or (has_sections and len(expected) > 1 and name not in ELSEWHERE):
            assert named == expected, f"{name} takes {expected}, its docstring names {named}"
