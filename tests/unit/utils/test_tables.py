from torchreid_occ.utils.tables import markdown_header, markdown_row, markdown_table


def test_a_table_is_a_header_and_a_line_for_each_row():
    rows = [("rfcnet", 71.2), ("baseline", None)]
    assert markdown_table(["model", "mAP"], iter(rows)) == (
        "| model | mAP |\n|---|---|\n| rfcnet | 71.2 |\n| baseline | None |\n"
    )


def test_header_and_rows_can_be_written_one_by_one():
    assert markdown_header(("a",)) == "| a |\n|---|"
    assert markdown_row([1, "b"]) == "| 1 | b |"
