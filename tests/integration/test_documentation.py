import re

import pytest
from support import REPOSITORY

from torchreid_occ.config import load_config
from torchreid_occ.pipelines.build import check_parts
from torchreid_occ.pipelines.phases import phase_configs

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
CODE = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
]
CONFIGS = sorted(
    path for path in (REPOSITORY / "configs").rglob("*.yaml") if path.parts[-2] != "base"
)


@pytest.mark.parametrize("code", CODE)
def test_examples_run(code):
    exec(compile(code, "<documentation>", "exec"), {})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_names_what_exists(path):
    config = load_config(path)
    for part in phase_configs(config).values() or [config]:
        if part.task == "train":
            check_parts(part)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    named = set(re.findall(r"(?:configs|tools|docs)/[\w/]+\.(?:yaml|py|md|png)", page.read_text()))
    assert not [name for name in named if not (REPOSITORY / name).exists()]
