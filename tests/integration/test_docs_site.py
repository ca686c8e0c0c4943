import re
import subprocess
import sys
from itertools import pairwise

import pytest
from documentation import SITE_PAGES
from support import REPOSITORY

# Sphinx writes these itself, over a page of the same name.
SPHINX_PAGES = {"genindex", "py-modindex", "search"}


def test_no_page_has_the_name_of_one_of_sphinxs_own():
    assert not SITE_PAGES.keys() & SPHINX_PAGES


@pytest.mark.parametrize(
    "page", sorted((REPOSITORY / "docs").glob("*.md")), ids=lambda page: page.name
)
def test_headings_go_down_a_level_at_a_time(page):
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.S | re.M)  # without code
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.M)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "--builder", "html"]
    folders = ["--doctree-dir", folder / "doctrees", REPOSITORY / "docs", folder / "html"]
    done = subprocess.run([*command, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_every_page_is_written_with_its_own_heading(site):
    written = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}
    own = {name for name in written if not name.startswith("_modules/")} - SPHINX_PAGES
    assert own == SITE_PAGES.keys()
    for name, heading in SITE_PAGES.items():
        (shown,) = re.findall(r"<h1>(.*?)<a ", (site / f"{name}.html").read_text(), re.S)
        assert re.sub(r"<.*?>", "", shown).replace("\u2019", "'") == heading


@pytest.mark.slow
def test_links_between_pages_lead_somewhere(site):
    broken = {
        f"{page.name}: {link}"
        for page in site.rglob("*.html")
        for link in re.findall(r'href="([^":]*\.(?:md|html))(?:#[^"]*)?"', page.read_text())
        if not (page.parent / link).exists()
    }
    assert not broken


@pytest.mark.slow
def test_pages_need_no_network(site):
    loaded = re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?:https?:)?//")
    assert not [page.name for page in site.rglob("*.html") if loaded.search(page.read_text())]
