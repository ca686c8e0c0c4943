import pytest

from torchreid_occ.utils.durations import clock, format_duration, parse_duration


@pytest.mark.parametrize(
    "text, seconds", [("30d", 2592000), ("12h", 43200), (" 1.5 w ", 907200), ("0.5d", 43200)]
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "30m", "30dd", "nan d"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="expected a number above 0 with h, d or w"):
        parse_duration(text)


@pytest.mark.parametrize("seconds, text", [(2592000, "30d"), (7200, "2h"), (1800, "0.5h")])
def test_durations_are_written_as_they_are_read(seconds, text):
    assert format_duration(seconds) == text
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("seconds, text", [(0, "0:00.0"), (65.04, "1:05.0"), (59.96, "1:00.0")])
def test_times_never_have_sixty_seconds(seconds, text):
    assert clock(seconds) == text
