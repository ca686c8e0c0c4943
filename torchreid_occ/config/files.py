"""Configuration files: what a file builds on, and the named rows of a table.

A file may name files it builds on in ``_BASE_``. The file of a paper's table holds ``rows``, each
of which changes some keys of the file::

    _BASE_: ../rfcnet_image.yaml
    rows:
      rfcnet: {}
      stage2: {model: {options: {stages: [2]}}}
      srfc: {_BASE_: stage2, model: {options: {arrangement: S}}}

The ``_BASE_`` of a row takes the place of the file's: it names another row of the file, or files,
or a row of another file as ``file.yaml#row``. A row itself is named ``file.yaml#srfc``.

The package ships its configurations: a file that does not exist, such as ``demo/rfcnet.yaml``, is
looked for among these.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.utils.documents import read_yaml

BASE, ROWS, MARK = "_BASE_", "rows", "#"
# In an installed package, and in a checkout.
FOLDERS = (Path(__file__).parents[1] / "configs", Path(__file__).parents[2] / "configs")


def config_contents(path: StrPath) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the contents that a configuration is made of, bases before what builds on them.

    Args:
        path: YAML file, or a row of one as ``file.yaml#row``.

    Yields:
        Where a content comes from, for errors, and the nested keys it sets.

    Raises:
        FileNotFoundError: For a missing file.
        KeyError: For a row that the file does not have.
        ValueError: If files build on each other in a circle, or one is not of this form.
    """
    file, row = split_row(path)
    yield from _chain(find_config(file), row, ())


def find_config(path: StrPath) -> Path:
    """Returns a path as it is if the file exists, else that of the package's file of this name.

    Args:
        path: YAML file, or the name of one of the package, such as ``rfcnet.yaml``,
            ``demo/rfcnet.yaml`` or ``configs/demo/rfcnet.yaml``.

    Returns:
        The path of an existing file; `path` itself if there is none.
    """
    path = Path(path)
    return path if path.is_file() else _shipped(path) or path


def _shipped(path: Path) -> Path | None:
    """Returns the package's file of a name; None if it has none, or the path is absolute."""
    name = path.relative_to("configs") if path.parts[:1] == ("configs",) else path
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if folder is None or path.is_absolute():
        return None
    return folder / name if (folder / name).is_file() else None


def split_row(path: StrPath) -> tuple[Path, str | None]:
    """Splits ``file.yaml#row`` into the file and the row.

    Args:
        path: YAML file, or a row of one.

    Returns:
        The file, and the name of the row or None.
    """
    file, mark, row = str(path).rpartition(MARK)
    return (Path(file), row) if mark and not Path(path).is_file() else (Path(path), None)


def row_names(path: StrPath) -> list[str]:
    """Returns the rows of a file, in order; none if it is no table.

    Args:
        path: The YAML file.
    """
    file = find_config(path)
    return [*_rows(file, _read(file, ()))]


def configuration_name(path: StrPath) -> str:
    """Returns the name of a row, or the name of a file without its ending.

    Args:
        path: YAML file, or a row of one as ``file.yaml#row``.
    """
    file, row = split_row(path)
    return row or file.stem


def configurations(path: StrPath) -> list[str]:
    """Returns the rows of a table as ``file.yaml#row``, and any other path as it is.

    Args:
        path: YAML file, or a row of one.
    """
    if split_row(path)[1] is not None:
        return [str(path)]
    return [f"{path}{MARK}{row}" for row in row_names(path)] or [str(path)]


def _chain(
    path: Path, row: str | None, above: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    path = path.resolve()
    name = f"{path}{MARK}{row}" if row else str(path)
    if name in above:
        raise ValueError(f"{BASE} files form a circle: {' -> '.join((*above, name))}.")
    content = _read(path, above)
    rows = _rows(path, content)
    if rows and row is None:
        raise ValueError(f"{path} holds a table: choose one of its rows {[*rows]}.")
    own = {} if row is None else _row(path, rows, row)
    bases = own.pop(BASE, content.get(BASE, []))
    if isinstance(bases, str) and bases in rows:
        yield from _chain(path, bases, (*above, name))
    else:
        for base in bases if isinstance(bases, list) else [bases]:
            if not isinstance(base, str) or not base or "\0" in base:
                raise ValueError(
                    f"{name}: {BASE} is {bases!r:.80}, but must name configuration files."
                )
            file, own_row = split_row(path.parent / base)
            if not file.is_file():
                file = _shipped(split_row(base)[0]) or file
            yield from _chain(file, own_row, (*above, name))
        yield str(path), {key: value for key, value in content.items() if key not in (BASE, ROWS)}
    if row is not None:
        yield name, own


def _read(path: Path, above: tuple[str, ...]) -> dict[str, Any]:
    if not path.is_file():
        asked = f", which {above[-1]} names in {BASE}" if above else ""
        raise FileNotFoundError(f"There is no configuration file {path}{asked}.")
    content = read_yaml(path) or {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold `key: value` lines, but holds {content!r:.80}.")
    return content


def _rows(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    rows = content.get(ROWS, {})
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise ValueError(f"{path}: {ROWS} must hold `name: {{key: value}}` lines.")
    return rows


def _row(path: Path, rows: dict[str, Any], row: str) -> dict[str, Any]:
    if row not in rows:
        raise KeyError(f"{path} has no row {row!r}, but {[*rows] or 'no rows at all'}.")
    return dict(rows[row])
