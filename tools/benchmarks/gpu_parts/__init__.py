"""Parts of `tools/benchmarks/gpu_day.py`, one subject a module."""
