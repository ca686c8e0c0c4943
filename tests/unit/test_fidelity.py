"""docs/fidelity.md and the marks in the code name the same decisions, in the same places."""

import re

from support import REPOSITORY

PACKAGE = REPOSITORY / "torchreid_occ"
MARK = re.compile(r"# (?:Differs from paper|Paper silent) \[(\w+)\]: \S")
ROW = re.compile(r"^\| (\w\d+) \|.*\| `([\w/]+\.py)` \|$", re.M)


def test_every_decision_has_its_mark():
    listed = dict(ROW.findall((REPOSITORY / "docs" / "fidelity.md").read_text()))
    marked = {
        number: path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for number in MARK.findall(path.read_text())
    }
    assert len(listed) > 40
    assert marked == listed


def test_every_deviation_has_a_number():
    unnumbered = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "Differs from paper:" in path.read_text()
    ]
    assert not unnumbered
