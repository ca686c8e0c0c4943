import time

from torchreid_occ.utils.timing import median_seconds


def test_steps_are_interleaved_and_the_first_round_does_not_count():
    called, pauses = [], iter([0.5, 0.0, 0.02, 0.04])  # of the slow step; the first warms up

    def slow():
        called.append("slow")
        time.sleep(next(pauses))

    found = median_seconds({"slow": slow, "fast": lambda: called.append("fast")}, 3, "test")
    assert called == ["slow", "fast"] * 4
    assert 0.02 <= found["slow"] < 0.4
    assert found["fast"] < found["slow"]
