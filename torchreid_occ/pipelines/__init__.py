"""From a configuration to results."""

from torchreid_occ.pipelines.experiment import run_experiment, run_splits
from torchreid_occ.pipelines.phases import run_config

__all__ = ["run_config", "run_experiment", "run_splits"]
