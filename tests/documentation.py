"""The pages of the documentation, read as a reader reads them."""

import re

from markdown_it import MarkdownIt
from support import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def code_blocks(page, language):
    """Blocks of a page in a language; those that are only indented have none, an empty one."""
    tokens = _tokens(page)
    blocks = (token for token in tokens if token.type in ("fence", "code_block"))
    return [token.content for token in blocks if token.info.strip() == language]


def code_spans(page):
    """Code inside the lines of a page."""
    return [
        " ".join(child.content.split())
        for token in _tokens(page)
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def named_tests(page):
    """Tests a page names, as (file, function)."""
    return re.findall(r"(test_\w+\.py)::(test_\w+)", page.read_text(encoding="utf-8"))


def _tokens(page):
    text = page.read_text(encoding="utf-8")
    return MarkdownIt("commonmark").enable("table").parse(text)
