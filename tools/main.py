"""Trains and tests a configuration: `python tools/main.py --config-file configs/rfcnet.yaml`."""

import argparse
import os
import sys
from pathlib import Path

# What ends in one line; a run's log has the traceback.
EXPECTED = (
    AssertionError,
    FloatingPointError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def parse_arguments(arguments=None):
    """Reads torchreid's flags, ours, and KEY VALUE pairs in any order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config-file", default="", metavar="FILE", help="YAML file of the run")
    parser.add_argument("-s", "--sources", nargs="+", metavar="NAME", help="training datasets")
    parser.add_argument("-t", "--targets", nargs="+", metavar="NAME", help="test datasets")
    parser.add_argument("--transforms", nargs="+", metavar="NAME", help="training augmentation")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--gpu-devices", metavar="IDS", help="such as 0,1")
    parser.add_argument("--splits", nargs="+", metavar="N", help="'all' or numbers: average splits")
    parser.add_argument("--resume", metavar="DIR", help="continue the run in DIR")
    parser.add_argument("--phase", metavar="NAME", help="run this one of the phases alone")
    parser.add_argument("--dry-run", action="store_true", help="print configuration and cost")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="override configuration keys")
    parsed = parser.parse_intermixed_args(arguments)
    for name in ("sources", "targets", "transforms", "splits"):
        # `-s mars data.height 128`: a list ends where a configuration key begins.
        words = getattr(parsed, name) or []
        end = next((i for i, word in enumerate(words) if _is_key(word)), len(words))
        setattr(parsed, name, words[:end])
        parsed.opts += words[end:]
    if not parsed.config_file and not parsed.resume:
        parser.error("name a configuration by --config-file, or a run by --resume")
    return parsed


def _is_key(word):
    is_variant = word.endswith(".clean")  # of a dataset
    return ("." in word and not is_variant) or word in ("engine", "use_gpu")


def overrides_of(arguments):
    """The flags as KEY VALUE pairs, after which come the pairs given as such."""
    flags = {
        "data.sources": arguments.sources,
        "data.targets": arguments.targets,
        "data.transforms": arguments.transforms,
        "data.root": arguments.root,
        "data.save_dir": arguments.resume,
    }
    pairs = [word for key, value in flags.items() if value for word in (key, str(value))]
    return pairs + arguments.opts


def run(arguments, config, path, overrides):
    """Runs the configuration, over splits where they are asked for."""
    from torchreid_occ.runs.phases import run_config
    from torchreid_occ.runs.splits import run_splits

    if arguments.splits:
        numbers = None if arguments.splits == ["all"] else [int(n) for n in arguments.splits]
        run_splits(path, overrides, numbers, resume=bool(arguments.resume))
        return
    demo = Path(path).parent / "demo" / Path(path).name
    demo = demo if demo.is_file() else None
    run_config(config, bool(arguments.resume), arguments.phase, demo)


def main():
    arguments = parse_arguments()
    if arguments.gpu_devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = arguments.gpu_devices
    path = arguments.config_file or Path(arguments.resume) / "config.yaml"
    overrides = overrides_of(arguments)
    try:
        from torchreid_occ.config import load_config
        from torchreid_occ.runs.phases import phase_configs
        from torchreid_occ.runs.run import describe
        from torchreid_occ.utils.processes import joined_processes

        if arguments.resume and not Path(arguments.resume).is_dir():
            raise FileNotFoundError(f"There is no run in {arguments.resume} to be continued.")
        config = load_config(path, overrides)
        if arguments.dry_run and config.phases:  # what later ones cost depends on earlier ones
            for name, phase in phase_configs(config).items():
                print(f"# phase {name}\n{phase.dump()}")
        elif arguments.dry_run:
            print(describe(config))
        else:
            with joined_processes(config.use_gpu):
                run(arguments, config, path, overrides)
    except KeyboardInterrupt:
        sys.exit("Interrupted; --resume with the run's data.save_dir continues it.")
    except EXPECTED as error:
        message = str(error.args[0] if isinstance(error, KeyError) else error)
        if "Original Traceback" in message:  # a worker's error: its own message comes last
            message = message.strip().splitlines()[-1]
        sys.exit(f"{type(error).__name__}: {message}")


if __name__ == "__main__":
    main()
