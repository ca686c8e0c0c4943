"""Configurations: torchreid's keys and ours, YAML files that build on one another, checks."""

from torchreid_occ.config.files import (
    configuration_name,
    configurations,
    find_config,
    row_names,
)
from torchreid_occ.config.load import check_options, config_of, load_config, merged, plain

__all__ = [
    "check_options",
    "config_of",
    "configuration_name",
    "configurations",
    "find_config",
    "load_config",
    "merged",
    "plain",
    "row_names",
]
