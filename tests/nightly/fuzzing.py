"""Feeds readers with malformed inputs and counts the outcomes."""

import time
from collections import Counter

import hypothesis

from nightly.readers import READERS
from nightly.sandbox import READ, REFUSED, Sandbox


def fuzz(name, count, seed):
    """Feeds a reader with malformed inputs.

    Args:
        name: One of `READERS`.
        count: Number of inputs.
        seed: Seed of the draws.

    Returns:
        The number of inputs by outcome, the seconds, and the shortest input of each failure.
    """
    reader = READERS[name]
    outcomes, failures = Counter(), {}
    start = time.perf_counter()
    with Sandbox(reader) as sandbox:

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            phases=[hypothesis.Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=[*hypothesis.HealthCheck],
        )
        @hypothesis.given(reader.contents())
        def feed(content):
            kind, detail = sandbox.outcome(content)
            outcomes[kind] += 1
            if kind not in (READ, REFUSED):
                failure = f"{kind}: {detail}"
                failures[failure] = min(failures.get(failure, content), content, key=len)

        feed()
    return dict(outcomes), time.perf_counter() - start, failures
