import os
import threading
import time

import pytest

from torchreid_occ.utils.threads import ahead, map_in_threads, usable_cores


def counting(number, made, fail_at=None):
    for item in range(number):
        if item == fail_at:
            raise ValueError("item is damaged")
        made.append((item, threading.current_thread()))
        yield item


def test_items_are_made_in_one_other_thread_and_few_wait():
    made = []
    items = ahead(counting(20, made), 3)
    for item in items:
        time.sleep(0.001)
        assert item + 1 <= len(made) <= item + 1 + 3
    assert item == 19
    assert {thread for _, thread in made} == {made[0][1]} != {threading.current_thread()}


def test_an_error_comes_after_the_items_before_it():
    assert list(ahead(counting(0, []), 3)) == []
    got = []
    with pytest.raises(ValueError, match="item is damaged"):
        for item in ahead(counting(9, [], fail_at=5), 3):
            got.append(item)
    assert got == [*range(5)]


def test_no_thread_is_left_when_the_rest_is_not_wanted():
    before, made = threading.active_count(), []
    items = ahead(counting(10**6, made), 3)
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before and len(made) <= 5


def test_results_come_in_the_order_of_their_items():
    def slow_at_first(item):
        time.sleep(0.01 if item % 4 == 0 else 0)
        return item * item

    made = []
    results = map_in_threads(slow_at_first, counting(20, made), 3)
    for done, result in enumerate(results):
        assert result == done * done
        assert len(made) <= done + 2 * 3
    assert done == 19
    assert {thread for _, thread in made} == {threading.current_thread()}


def test_an_error_in_a_thread_ends_the_work():
    def fails(item):
        if item == 2:
            raise OSError("no space left")
        return item

    before, got = threading.active_count(), []
    with pytest.raises(OSError, match="no space left"):
        for result in map_in_threads(fails, range(10**9), 2):
            got.append(result)
    assert got == [0, 1]
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux")
def test_cores_are_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores() == len(allowed)
