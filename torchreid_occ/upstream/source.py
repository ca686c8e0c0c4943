"""A module of this package as text: its definitions, and where its other names come from."""

import ast
import importlib.util
from pathlib import Path


class ModuleSource:
    """A module's source by its top-level names.

    Args:
        name: Dotted name of the module.

    Raises:
        ValueError: If importing the module does more than to define and to import.
    """

    def __init__(self, name):
        self.name = name
        source = Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
        self._lines = source.splitlines()
        tree = ast.parse(source)
        self.title = ast.get_docstring(tree).partition("\n")[0]
        self.definitions = {}  # statement by name
        self.imports = {}  # (module, its name there) by the name here; None is the module itself
        for statement in tree.body:
            self._read(statement)

    def _read(self, statement):
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                # torchreid has tables in place of our decorators.
                statement.decorator_list = [
                    one for one in statement.decorator_list if not _registers(one)
                ]
                self.definitions[name] = statement
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                names = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
                self.definitions |= dict.fromkeys(names, statement)
            case ast.ImportFrom(module=module, names=aliases):
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
                    "so what it does cannot be moved to another file."
                )

    def text(self, names):
        """Source of some definitions, in their order, with the comments and space above them."""
        chosen = dict.fromkeys(node for name, node in self.definitions.items() if name in names)
        return "\n".join(map(self._text_of, chosen)).strip("\n")

    def _text_of(self, statement):
        decorators = getattr(statement, "decorator_list", ())
        start = min(node.lineno for node in (statement, *decorators)) - 1
        first = start
        while self._lines[first - 1].startswith(("#", "@register_")):
            first -= 1
        while not self._lines[first - 1]:
            first -= 1
        above = [line for line in self._lines[first:start] if not line.startswith("@register_")]
        return "\n".join([*above, *self._lines[start : statement.end_lineno]])


def _registers(decorator):
    """Whether a decorator is one of ``torchreid_occ._registry``."""
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).startswith("register_")
