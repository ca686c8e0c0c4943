#!/usr/bin/env bash
# The priority of the processes in which Ray computes, on a machine that does other work, too.
#
# Guess: a task or an actor runs at the priority of the process that started the cluster, as the
#   workers of multiprocessing, joblib and PyTorch's loaders do: nice 0.
# Seen: Ray starts them at nice 15, about a 28th of the processor's time of an ordinary process on
#   Linux: beside other work, an actor that extracts features waits for all of it. The environment
#   variable RAY_worker_niceness of the process that starts a node changes it.
# Fails if workers start at the priority of their starter, or if the variable has no effect.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check ray==2.60.0
cd "$work"
cat > seen.py <<'PYTHON'
import os

import ray

ray.init(num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
print(ray.get(ray.remote(lambda: os.nice(0)).remote()) - os.nice(0))
PYTHON
run() { RAY_USAGE_STATS_ENABLED=0 venv/bin/python seen.py 2>log || { cat log >&2; exit 1; }; }
plain=$(run)
told=$(RAY_worker_niceness=0 run)
echo "nice of a worker, above that of its starter: $plain; with RAY_worker_niceness=0: $told"
[ "$plain" -gt 0 ] && [ "$told" -eq 0 ] || { echo "The behaviour has changed."; exit 1; }
