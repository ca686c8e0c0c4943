"""From a configuration to results."""

from torchreid_occ.pipelines.experiment import run_experiment
from torchreid_occ.pipelines.phases import run_config
from torchreid_occ.pipelines.splits import run_splits

__all__ = ["run_config", "run_experiment", "run_splits"]
