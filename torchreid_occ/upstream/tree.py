"""Reads and edits a source tree of torchreid: module paths, import style, factories."""

import ast
from pathlib import Path

from torchreid_occ._types import StrPath


class Tree:
    """Folder of a torchreid package, in either layout.

    Upstream's 1.4.0 has `torchreid/models` and imports relatively, PyPI's 0.2.5 has
    `torchreid/reid/models` and imports absolutely; both are read from the folder.

    Args:
        folder: Folder `torchreid` of the package.

    Attributes:
        package: Package of torchreid's modules, `torchreid` or `torchreid.reid`.
        is_relative: Whether modules import each other relatively.

    Raises:
        FileNotFoundError: If it is no folder of torchreid.
    """

    def __init__(self, folder: StrPath) -> None:
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

    def path(self, module: str) -> Path:
        """Returns the path of a module.

        Args:
            module: Name inside torchreid, such as `models.osnet` or, for a package's own file,
                `models.__init__`.
        """
        return self._modules.joinpath(*module.split(".")).with_suffix(".py")

    def import_line(self, importer: str, module: str, names: str) -> str:
        """Returns the import statement of names in the style of the tree.

        Args:
            importer: Module that imports, as in `path`.
            module: Module that is imported from, as in `path`.
            names: The names as the statement lists them.
        """
        if not self.is_relative:
            return f"from {self.package}.{module} import {names}"
        own, other = importer.split(".")[:-1], module.split(".")
        shared = 0
        while shared < len(own) and own[shared] == other[shared]:
            shared += 1
        dots = "." * (1 + len(own) - shared)
        return f"from {dots}{'.'.join(other[shared:])} import {names}"

    def table(self, module: str, name: str) -> dict[str, str]:
        """Returns a factory's table as source text by name.

        Args:
            module: Module of the factory, as in `path`.
            name: Name of the table.
        """
        table = _table(self.path(module).read_text(encoding="utf-8"), name)
        return {
            key.value: ast.unparse(value)
            for key, value in zip(table.keys, table.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }


def with_import(source: str, line: str) -> str:
    """Returns a module's source with another import after its last one.

    Args:
        source: The source.
        line: The import statement.
    """
    imports = (ast.Import, ast.ImportFrom)
    last = [node for node in ast.parse(source).body if isinstance(node, imports)][-1]
    return _inserted(source, last, f"\n{line}")


def with_entry(source: str, table: str, name: str, value: str) -> str:
    """Returns a module's source with another entry at the end of a table.

    Args:
        source: The source.
        table: Name of the table.
        name: Key of the entry.
        value: Value of the entry as source text.
    """
    last = _table(source, table).values[-1]
    return _inserted(source, last, f",\n    '{name}': {value}")


def _table(source: str, name: str) -> ast.Dict:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            assert isinstance(node.value, ast.Dict)  # in both releases of torchreid
            return node.value
    raise ValueError(f"torchreid's factory has no table {name}.")


def _inserted(source: str, node: ast.stmt | ast.expr, text: str) -> str:
    """Returns a source with a text inserted after one of its nodes."""
    line, column = node.end_lineno, node.end_col_offset
    assert line is not None  # of a node that was parsed
    lines = source.splitlines(keepends=True)
    before = lines[line - 1].encode()  # the parser counts columns in bytes
    lines[line - 1] = before[:column].decode() + text + before[column:].decode()
    return "".join(lines)
