import pytest

from torchreid_occ._registry import (
    CRITERIA,
    IMAGE_DATASETS,
    MODELS,
    VIDEO_DATASETS,
    Table,
    register_criterion,
    register_dataset,
    register_model,
    unknown_name,
)


def test_a_definition_is_entered_once_and_returned():
    table = Table("model")

    @table.register("small")
    def build():
        return 1

    assert table == {"small": build}
    assert build() == 1
    with pytest.raises(ValueError, match="There is already a model 'small'"):
        table.register("small")(build)
    assert table == {"small": build}


def test_an_unknown_name_lists_the_known_ones():
    table = Table("criterion")
    table["b"] = table["a"] = object()
    message = "Received criterion \"c\", but expected to be one of ['a', 'b']"
    with pytest.raises(KeyError) as raised:
        table["c"]
    assert raised.value.args == (message,)
    assert unknown_name("criterion", "c", table) == message


@pytest.mark.parametrize(
    ("register", "table"),
    [
        (register_model, MODELS),
        (register_criterion, CRITERIA),
        (register_dataset, VIDEO_DATASETS),
        (lambda name: register_dataset(name, kind="image"), IMAGE_DATASETS),
    ],
    ids=["model", "criterion", "video dataset", "image dataset"],
)
def test_each_decorator_fills_its_table(register, table, monkeypatch):
    definition = type("Definition", (), {})
    monkeypatch.setitem(table, "for this test", None)  # restores the table afterwards
    del table["for this test"]
    assert register("for this test")(definition) is definition
    assert table["for this test"] is definition
