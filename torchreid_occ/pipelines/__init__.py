"""From a configuration to results."""

from torchreid_occ.pipelines.experiment import run_experiment, run_splits

__all__ = ["run_experiment", "run_splits"]
