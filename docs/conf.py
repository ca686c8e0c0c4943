"""The documentation site: `make docs` builds it into docs/_build/html."""

import sys
from pathlib import Path

from torchreid_occ.version import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "torchreid_occ"
copyright = "2026, the torchreid_occ authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "code_spans",
    "svg_math",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Names in a package's `__all__` are documented by the modules that define them.
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
add_module_names = False  # a heading names the module
# A single backtick marks code in this package's docstrings.
default_role = "py:obj"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shape"]

html_theme = "furo"
html_title = "torchreid_occ"
html_math_renderer = "svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False


def setup(app):
    """Connects the two hooks of autodoc."""
    app.connect("autodoc-process-docstring", head_with_name)
    app.connect("autodoc-skip-member", leave_out_fields)


def head_with_name(app, what, name, obj, options, lines):
    """Puts a module's name above its docstring."""
    if what == "module":
        lines[:0] = [f".. rubric:: {name}", ""]


def leave_out_fields(app, what, name, obj, skip, options):
    """Leaves out the fields of NamedTuples, which the class's docstring describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None
