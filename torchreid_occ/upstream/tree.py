"""A tree of torchreid: where its modules lie, how they import each other, its factories."""

import ast
from pathlib import Path


class Tree:
    """The folder of a torchreid package, in either layout.

    Upstream's 1.4.0 has `torchreid/models` and imports relatively, PyPI's 0.2.5 has
    `torchreid/reid/models` and imports absolutely; what counts is what the folder shows.

    Args:
        folder: The package's folder, `torchreid`.

    Raises:
        FileNotFoundError: If it is no folder of torchreid.
    """

    def __init__(self, folder):
        self.folder = Path(folder).absolute()
        inner = "reid" if (self.folder / "reid").is_dir() else ""
        self._modules = self.folder / inner
        self.package = ".".join(filter(None, ("torchreid", inner)))
        factory = self._modules / "models" / "__init__.py"
        if self.folder.name != "torchreid" or not factory.is_file():
            raise FileNotFoundError(
                f"{folder} is not the folder of torchreid: expected a folder named torchreid with "
                "models/__init__.py (upstream) or reid/models/__init__.py (PyPI)."
            )
        self.is_relative = "\nfrom ." in factory.read_text(encoding="utf-8")

    def path(self, module):
        """Path of a module, `models.osnet` or, for a package's own file, `models.__init__`."""
        return self._modules.joinpath(*module.split(".")).with_suffix(".py")

    def import_line(self, importer, module, names):
        """How a module imports names from another one, both as in `path`."""
        if not self.is_relative:
            return f"from {self.package}.{module} import {names}"
        own, other = importer.split(".")[:-1], module.split(".")
        shared = 0
        while shared < len(own) and own[shared] == other[shared]:
            shared += 1
        dots = "." * (1 + len(own) - shared)
        return f"from {dots}{'.'.join(other[shared:])} import {names}"

    def table(self, module, name):
        """A factory's table: what each of its names stands for, as the module writes it."""
        table = _table(self.path(module).read_text(encoding="utf-8"), name)
        return {
            key.value: ast.unparse(value)
            for key, value in zip(table.keys, table.values, strict=True)
        }


def with_import(source, line):
    """A module's source with one more import, behind those it has."""
    imports = (ast.Import, ast.ImportFrom)
    last = [node for node in ast.parse(source).body if isinstance(node, imports)][-1]
    return _inserted(source, last.end_lineno, last.end_col_offset, f"\n{line}")


def with_entry(source, table, name, value):
    """A module's source with one more entry at the end of a table."""
    last = _table(source, table).values[-1]
    return _inserted(source, last.end_lineno, last.end_col_offset, f",\n    '{name}': {value}")


def _table(source, name):
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    raise ValueError(f"torchreid's factory has no table {name}.")


def _inserted(source, line, column, text):
    lines = source.splitlines(keepends=True)
    before = lines[line - 1].encode()  # the parser counts bytes
    lines[line - 1] = before[:column].decode() + text + before[column:].decode()
    return "".join(lines)
