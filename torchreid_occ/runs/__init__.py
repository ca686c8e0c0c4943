"""From a configuration to results: parts are built, runs, phases and splits are run."""
