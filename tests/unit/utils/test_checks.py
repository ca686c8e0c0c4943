import pytest

from torchreid_occ.utils.checks import check_choice


def test_allowed_values_pass():
    check_choice("kind", "spatial", ("spatial", "temporal"))
    check_choice("kernel", 3, iter((3, 4)))


@pytest.mark.parametrize(
    ("name", "value", "choices", "message"),
    [
        ("kind", "both", ("spatial",), r"^Received kind \"both\", .* one of \['spatial'\]$"),
        ("kernel", 5, (3, 4), r"^Received kernel 5, but expected to be one of \[3, 4\]$"),
        ("kind", None, {"a": 1}, r"^Received kind None, .* one of \['a'\]$"),
    ],
)
def test_other_values_are_named_with_the_allowed_ones(name, value, choices, message):
    with pytest.raises(ValueError, match=message):
        check_choice(name, value, choices)
