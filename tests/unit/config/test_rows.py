import pytest
from support import REPOSITORY

from torchreid_occ.config import configuration_name, configurations, load_config, row_names

CONFIGS = REPOSITORY / "configs"
TABLE = """
_BASE_: base.yaml
train: {max_epoch: 5}
rows:
  plain: {}
  longer: {train: {max_epoch: 9, lr: 0.5}}
  longest: {_BASE_: longer, train: {max_epoch: 12}}
  elsewhere: {_BASE_: other.yaml#row, data: {height: 32}}
"""
OTHER = "rows: {row: {train: {batch_size: 3, max_epoch: 7}}}"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "base.yaml").write_text("train: {lr: 0.1, batch_size: 2}")
    (tmp_path / "other.yaml").write_text(OTHER)
    path = tmp_path / "table.yaml"
    path.write_text(TABLE)
    return path


def trained(path, row):
    train = load_config(f"{path}#{row}").train
    return train.max_epoch, train.lr, train.batch_size


def test_a_row_changes_the_file_and_its_base(table):
    assert trained(table, "plain") == (5, 0.1, 2)
    assert trained(table, "longer") == (9, 0.5, 2)


def test_a_row_may_build_on_another_row(table):
    assert trained(table, "longest") == (12, 0.5, 2)


def test_a_base_of_a_row_takes_the_place_of_the_files(table):
    config = load_config(f"{table}#elsewhere")
    assert (config.train.max_epoch, config.train.batch_size, config.data.height) == (5, 3, 32)


def test_rows_are_listed_and_named(table):
    assert row_names(table) == ["plain", "longer", "longest", "elsewhere"]
    assert configurations(table)[1] == f"{table}#longer"
    assert configurations(f"{table}#plain") == [f"{table}#plain"]
    assert configurations(table.with_name("base.yaml")) == [str(table.with_name("base.yaml"))]
    assert [configuration_name(path) for path in configurations(table)] == row_names(table)
    assert configuration_name(table) == "table"


def test_a_table_without_a_row_lists_them(table):
    with pytest.raises(ValueError, match=r"choose one of its rows \['plain', 'longer'"):
        load_config(table)


def test_an_unknown_row_lists_those_there_are(table):
    with pytest.raises(KeyError, match=r"has no row 'shorter', but \['plain'"):
        load_config(f"{table}#shorter")


def test_rows_that_build_on_each_other_are_refused(table):
    table.write_text("rows: {one: {_BASE_: two}, two: {_BASE_: one}}")
    with pytest.raises(ValueError, match="circle"):
        load_config(f"{table}#one")


def test_rows_of_another_form_are_refused(table):
    table.write_text("rows: [one, two]")
    with pytest.raises(ValueError, match="rows must hold"):
        load_config(f"{table}#one")
