import re
import subprocess
import sys

import pytest
from support import REPOSITORY


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_needs_no_network(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "--builder", "html"]
    folders = ["--doctree-dir", tmp_path / "doctrees", REPOSITORY / "docs", tmp_path / "html"]
    done = subprocess.run([*command, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?:https?:)?//")
    pages = [*(tmp_path / "html").rglob("*.html")]
    assert (tmp_path / "html" / "equations_rfcnet.html") in pages
    assert not [page.name for page in pages if loaded.search(page.read_text())]
