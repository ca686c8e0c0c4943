"""Reads code, commands and names of tests from the pages of the documentation."""

import re
import shutil
import subprocess

from markdown_it import MarkdownIt
from support import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]

# Bash expands loops, braces and globs; our commands only print their arguments.
SHELL = r"""
say() { printf '%s\0' "$@"; printf '\n'; }
for name in python make torchrun torchreid-occ; do eval "$name() { say $name \"\$@\"; }"; done
for name in cd cp git ls mkdir pip; do eval "$name() { :; }"; done
command_not_found_handle() { say unknown "$@"; }
PATH=
"""
STARTS = ("python ", "make ", "torchrun ", "torchreid-occ ", "tools/")


def heading(page):
    """Returns the heading of a page of the site, which may include a file of the repository."""
    text = page.read_text(encoding="utf-8")
    included = re.match(r"```{include} (\S+)", text)
    if included:
        text = (page.parent / included[1]).read_text(encoding="utf-8")
    return re.match(r"# (.+)", text)[1]


def code_blocks(page, language):
    """Returns the code blocks of a page in a language; indented blocks have the language ''."""
    tokens = _tokens(page)
    blocks = (token for token in tokens if token.type in ("fence", "code_block"))
    return [token.content for token in blocks if token.info.strip() == language]


def code_spans(page):
    """Returns the inline code of a page."""
    return [
        " ".join(child.content.split())
        for token in _tokens(page)
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def commands(page):
    """Yields the commands of a page's blocks and inline code as lists of words."""
    blocks = [block for name in ("", "bash", "sh") for block in code_blocks(page, name)]
    scripts = [block for block in blocks if block.startswith((*STARTS, "for ", "pip "))]
    scripts += [span for span in code_spans(page) if span.startswith(STARTS) and " " in span]
    # A subshell each, so that none sees another's variables; `<name>` is the reader's own.
    lines = (re.sub(r"<(\w+)>", r"\1", re.sub(r"^(?=tools/)", "python ", one)) for one in scripts)
    done = subprocess.run(
        [shutil.which("bash"), "-c", SHELL + "".join(f"(\n{one}\n)\n" for one in lines)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr, done.stderr
    yield from (line.split("\0")[:-1] for line in done.stdout.splitlines())


def named_tests(page):
    """Returns the tests that a page names, as (file, function)."""
    return re.findall(r"(\w+\.py)::(test_\w+)", page.read_text(encoding="utf-8"))


# Headings of the pages of the documentation site by their names.
SITE_PAGES = {
    page.relative_to(DOCS).with_suffix("").as_posix(): heading(page)
    for page in DOCS.rglob("*.md")
    if "_build" not in page.parts
}


def _tokens(page):
    text = page.read_text(encoding="utf-8")
    return MarkdownIt("commonmark").enable("table").parse(text)
