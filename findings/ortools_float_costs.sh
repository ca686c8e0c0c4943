#!/usr/bin/env bash
# Tracklets of two cameras matched by OR-Tools, with the costs in an array, as distances of features are.
#
# Guess: costs that are no integers are refused, as add_arc_with_cost(0, 0, 0.3) is by a TypeError, or used as
#   they are.
# Seen: the methods that take arrays cut the fraction off. Distances below 1 are all 0 then, so any matching is as
#   good as any other: the solver reports OPTIMAL and matches one or none of 50 people, of whom it matches all if
#   the distances are given in whole thousandths. The solver of flows, by which detections are linked to tracks,
#   does the same.
# Fails if arrays of floats are refused, or if they give the right people.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  ortools==9.15.6755 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from ortools.graph.python.linear_sum_assignment import SimpleLinearSumAssignment
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

print("ortools", version("ortools"))
COUNT = 50
rng = np.random.default_rng(0)
people = rng.normal(size=(COUNT, 64))
shown = rng.permutation(COUNT)  # whom each tracklet of the second camera shows
first, second = people + 0.5 * rng.normal(size=(2, COUNT, 64))
second = second[shown]
first, second = (array / np.linalg.norm(array, axis=1, keepdims=True) for array in (first, second))
distances = 1 - first @ second.T
left, right = (place.ravel() for place in np.indices(distances.shape))


def by_assignment(costs):
    solver = SimpleLinearSumAssignment()
    solver.add_arcs_with_cost(left, right, costs.ravel())
    assert solver.solve() == solver.OPTIMAL
    return [solver.right_mate(number) for number in range(COUNT)]


def by_flow(costs):
    """From a source to the left ones, to the right ones, and to a sink."""
    solver, number = SimpleMinCostFlow(), np.arange(COUNT)
    source, sink, ones = np.full(COUNT, 2 * COUNT), np.full(COUNT, 2 * COUNT + 1), np.ones(COUNT, int)
    solver.add_arcs_with_capacity_and_unit_cost(source, number, ones, 0 * ones)
    solver.add_arcs_with_capacity_and_unit_cost(COUNT + number, sink, ones, 0 * ones)
    arcs = solver.add_arcs_with_capacity_and_unit_cost(
        left, COUNT + right, np.ones(COUNT**2, int), costs.ravel()
    )
    solver.set_nodes_supplies(np.array([2 * COUNT, 2 * COUNT + 1]), np.array([COUNT, -COUNT]))
    assert solver.solve() == solver.OPTIMAL
    return right[solver.flows(arcs) == 1]


try:
    SimpleLinearSumAssignment().add_arc_with_cost(0, 0, 0.3)
    sys.exit("The behaviour has changed: a single float is taken.")
except TypeError:
    print("a single cost of 0.3: TypeError")
counts = {}
thousandths = np.rint(1000 * distances).astype(int)
for name, costs in (("distances", distances), ("distances in whole thousandths", thousandths)):
    for solve in (by_assignment, by_flow):
        try:
            counts[name, solve] = int(np.sum(shown[solve(costs)] == np.arange(COUNT)))
        except (TypeError, ValueError) as error:
            sys.exit(f"The behaviour has changed: {error!r}")
        print(f"{name}, {solve.__name__.removeprefix('by_')}: {counts[name, solve]} of {COUNT} people matched")
bad = [count for (name, _), count in counts.items() if name == "distances"]
good = [count for (name, _), count in counts.items() if name != "distances"]
if max(bad) > COUNT // 2 or min(good) < COUNT:
    sys.exit("The behaviour has changed.")
PYTHON
