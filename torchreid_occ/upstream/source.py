"""Reads a module of this package as text: its definitions and its imports by name."""

import ast
import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

# A name's module and its name there; the latter is None for the module itself.
Origin: TypeAlias = tuple[str, str | None]


class ModuleSource:
    """A module's source by its top-level names.

    Args:
        name: Dotted name of the module.

    Attributes:
        title: First line of the module's docstring.
        definitions: Top-level statements by the names they define.
        imports: Origins of imported names.

    Raises:
        ValueError: If the module has statements other than definitions and imports.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        source = _read_source(name)
        self._lines = source.splitlines()
        self._registering: set[int] = set()  # numbers of lines that are dropped
        tree = ast.parse(source)
        self.title = (ast.get_docstring(tree) or name).partition("\n")[0]
        self.definitions: dict[str, ast.stmt] = {}
        self.imports: dict[str, Origin] = {}
        for statement in tree.body:
            self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                self._drop_registrations(statement)
                self.definitions[name] = statement
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                names = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
                self.definitions |= dict.fromkeys(names, statement)
            case ast.ImportFrom(module=str(module), names=aliases):
                for alias in aliases:
                    self.imports[alias.asname or alias.name] = (module, alias.name)
            case ast.Import(names=aliases):
                for alias in aliases:
                    # `import a.b` binds `a`, from which `a.b` is reached.
                    self.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, None)
            case ast.Expr(value=ast.Constant()):
                pass
            case _:
                raise ValueError(
                    f"Line {statement.lineno} of {self.name} neither defines nor imports a name, "
                    "so it cannot be moved to another file."
                )

    def _drop_registrations(self, statement: ast.FunctionDef | ast.ClassDef) -> None:
        """Drops decorators of ``torchreid_occ._registry``: torchreid has tables instead."""
        kept = []
        for decorator in statement.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(call).startswith("register_"):
                last = decorator.end_lineno or decorator.lineno
                self._registering |= set(range(decorator.lineno, last + 1))
            else:
                kept.append(decorator)
        statement.decorator_list = kept

    def text(self, names: Collection[str]) -> str:
        """Returns the source of some definitions in their order, with the comments above them.

        Args:
            names: Names of the definitions.
        """
        chosen = dict.fromkeys(node for name, node in self.definitions.items() if name in names)
        return "\n".join(map(self._text_of, chosen)).strip("\n")

    def _text_of(self, statement: ast.stmt) -> str:
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
        while self._lines[first - 2].startswith("#") or first - 1 in self._registering:
            first -= 1
        while not self._lines[first - 2]:
            first -= 1
        last = statement.end_lineno or statement.lineno
        numbers = range(first, last + 1)
        return "\n".join(self._lines[n - 1] for n in numbers if n not in self._registering)


def _read_source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ValueError(f"There is no source of the module {name}.")
    return Path(spec.origin).read_text(encoding="utf-8")
