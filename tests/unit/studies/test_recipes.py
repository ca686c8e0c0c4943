import re

import pytest
from support import REPOSITORY

from torchreid_occ.studies.recipes import GROUPS, Recipe, recipe_tables, recipes_of

PAPERS = REPOSITORY.parent / "shared" / "papers"


def of_row(file, row):
    return {
        recipe.row.partition("`, ")[2]: recipe for recipe in recipes_of(file) if row in recipe.row
    }


def test_recipes_say_what_their_rows_do():
    (rfcnet,) = of_row("headline/rfcnet/table5.yaml", "#without_clues").values()
    assert rfcnet == Recipe(
        row="`rfcnet/table5.yaml#without_clues`",
        data="occluded_dukemtmcvidreid",
        identities="all, 702",
        length="150 epochs, x0.1 every 40",
        lr="0.0003 (adam)",
        batch="8 x 4",
        clip="4 frames, stride 8, tracklets cut every 32",
        size="256x128",
        test="clips of 64, cosine",
        select="last",
        interpolation="bicubic",
    )
    vrstc = of_row("headline/vrstc/table3.yaml", "#mars")
    assert [*vrstc] == ["pretrain", "stcnet", "reid"]
    assert (vrstc["stcnet"].size, vrstc["stcnet"].lr) == ("128x64", "0.0001 (adam)")
    assert (vrstc["reid"].data, vrstc["reid"].test) == (
        "mars, completed",
        "whole tracklets, cosine",
    )
    trl = of_row("headline/trl_st2n/table3.yaml", "#sduvid`")
    assert [(one.data, one.length) for one in trl.values()] == [
        ("mars", "10,000 steps, constant"),
        ("sduvid", "5,000 steps, constant"),
    ]
    (rru_stim,) = of_row("headline/rru_stim/table3.yaml", "#ilidsvid`").values()
    assert rru_stim.batch == "10 x 2 of different cameras"
    assert rru_stim.lr == "0.01 (sgd), pretrained layers x0.1"


def test_every_table_is_in_a_group():
    listed = [file for group in GROUPS for file in group.files]
    folder = REPOSITORY / "configs" / "headline"
    assert sorted(listed) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")
    )


def test_the_page_shows_the_recipes_as_they_resolve():
    assert recipe_tables() in (REPOSITORY / "docs" / "results.md").read_text()


@pytest.mark.skipif(not PAPERS.is_dir(), reason="the papers' texts are not part of the repository")
def test_sentences_are_the_papers_own():
    def plain(text):
        text = re.sub(
            r"-\s+", "", text.replace("\u00d7", "x").replace("\u2212", "-").replace("\\times", "x")
        )
        return re.sub(r"[\s$^,]", "", text)

    texts = plain("".join(path.read_text() for path in sorted(PAPERS.glob("*.txt"))))
    for group in GROUPS:
        for sentence in group.sentences:
            assert plain(sentence) in texts, sentence
