"""Markdown tables."""

from collections.abc import Iterable, Sequence


def markdown_header(titles: Sequence[str]) -> str:
    """Returns the two lines that begin a Markdown table.

    Args:
        titles: Titles of the columns.
    """
    return f"{markdown_row(titles)}\n|{'---|' * len(titles)}"


def markdown_row(cells: Iterable[object]) -> str:
    """Returns one line of a Markdown table.

    Args:
        cells: What stands in its columns.
    """
    return f"| {' | '.join(map(str, cells))} |"


def markdown_table(titles: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Returns a Markdown table that ends with a line break.

    Args:
        titles: Titles of the columns.
        rows: Cells of each row.
    """
    lines = [markdown_header(titles), *map(markdown_row, rows)]
    return "".join(f"{line}\n" for line in lines)
