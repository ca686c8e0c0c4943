"""Extracts units on a Ray cluster: an actor with the model for each device, by Ray Data."""

import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from torchreid_occ.extraction.units import Unit
from torchreid_occ.extraction.work import PLAN, Outcome, Settings, UnitExtractor, cut, set_threads
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.environment import versions
from torchreid_occ.utils.logs import logger

LOCAL = "local"
PATIENCE = 120  # seconds in which a node must answer
_CONNECT = 10  # seconds in which a port must answer
_QUEUED = 2  # units at an actor, the one in work included
_STORE = 256 * 2**20  # bytes of a local cluster's object store, which holds paths and counts
# How OpenMP's threads wait (`torchreid_occ.cli.cores`), which Ray's workers would not know.
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


class Look(NamedTuple):
    """What a node sees.

    Attributes:
        error: Why it cannot take part; empty if it can.
        versions: Its versions of packages.
    """

    error: str
    versions: Mapping[str, str | None]


def extract_on_cluster(
    units: Sequence[Unit], settings: Settings, address: str
) -> Iterator[Outcome]:
    """Extracts units by actors, one for each GPU; without GPUs, one for `settings.threads` CPUs.

    An actor makes the tracklets of its unit, extracts them and writes the part; only names and
    counts come back. Where GPUs extract, CPUs cut people out of videos ahead of them, unless the
    detector needs a GPU. Units of a node that fails are repeated by others, except for those whose
    part is there.

    Args:
        units: The units; not empty.
        settings: The settings.
        address: ``local`` starts a cluster in this machine; else as `ray.init` takes it on a
            machine of the cluster: ``auto``, or host and port of its head.

    Yields:
        What came of each unit, in any order.

    Raises:
        ConnectionError: If there is no cluster at the address, or a node does not answer.
        ImportError: If Ray is not installed.
        ValueError: If the address is invalid, there is no device, or a node does not see the
            same checkpoint and folder.
    """
    ray, data = import_optional("ray", "ray.data", extra="ray")
    with _connected(ray, data, address):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        is_cut = any(unit.is_cut_by_cpu for unit in units)
        device, count = devices([node["Resources"] for node in nodes], settings.threads, is_cut)
        _check_nodes(ray, nodes, settings)
        logger.info("%d units go to %d actors, one for each %s.", len(units), count, device)
        rows = [{"place": place, "error": ""} for place in range(len(units))]
        dataset = data.from_items(rows, override_num_blocks=len(rows))
        needed = {"num_cpus": settings.threads}
        if device == "GPU":
            if is_cut:
                dataset = dataset.map(_cut_ahead, fn_args=(units, settings), **needed)
            needed = {"num_gpus": 1, "num_cpus": 0}  # or the cutting would wait for them
        dataset = dataset.map(
            _Actor,
            fn_constructor_args=(units, settings, device),
            compute=data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=_QUEUED),
            **needed,
        )
        for row in dataset.iter_rows():
            yield Outcome(**row)


def devices(
    nodes: Sequence[Mapping[str, float]], threads: int, cpus_cut: bool = False
) -> tuple[str, int]:
    """Returns what a device is, and how many the nodes have.

    Args:
        nodes: Resources of each node, as Ray names them.
        threads: CPUs that make a device where there is no GPU.
        cpus_cut: Whether CPUs are needed even if there are GPUs.

    Raises:
        ValueError: If there is no device.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    if max(cpus) < threads and (cpus_cut or not gpus):
        raise ValueError(
            f"{threads} threads are to compute (threads), but no node has more than {max(cpus)} "
            "CPUs: take fewer."
        )
    if gpus:
        return "GPU", gpus
    return f"{threads} CPUs", sum(count // threads for count in cpus)


def look(settings: Settings, plan: bytes) -> Look:
    """Tries on a node what an actor will need.

    Args:
        settings: The settings.
        plan: Content of the plan in the folder of the parts.

    Returns:
        What this machine sees.
    """
    file = Path(settings.folder) / PLAN
    try:
        if not file.is_file() or file.read_bytes() != plan:
            raise FileNotFoundError(f"it does not see the folder {settings.folder} of the parts")
        UnitExtractor(settings._replace(use_gpu=False))
    except (ImportError, OSError, ValueError) as error:
        return Look(str(error).rstrip("."), versions())
    return Look("", versions())


class _Actor:
    """Extracts units on the device that Ray gives to the process."""

    def __init__(self, units: Sequence[Unit], settings: Settings, device: str) -> None:
        self._units = units
        set_threads(settings.threads)
        if device == "GPU" and not torch.cuda.is_available():
            logger.warning("Ray gives a GPU, but PyTorch finds none: a CPU computes.")
        self._extract = UnitExtractor(settings)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        unit = self._units[row["place"]]
        if row["error"]:
            return Outcome(unit.label, 0, row["error"])._asdict()
        return self._extract(unit)._asdict()


def _cut_ahead(row: dict[str, Any], units: Sequence[Unit], settings: Settings) -> dict[str, Any]:
    set_threads(settings.threads)
    return {**row, "error": cut(units[row["place"]])}


@contextmanager
def _connected(ray: Any, data: Any, address: str) -> Iterator[None]:
    """Connects to a cluster, or starts one, and leaves it."""
    options: dict[str, Any] = {"logging_level": logging.ERROR}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # reports nothing over the network
        options |= {"include_dashboard": False, "object_store_memory": _STORE}
    else:
        _check_address(address)
        waiting = {name: os.environ[name] for name in _WAITING if name in os.environ}
        options["runtime_env"] = {"env_vars": waiting}
    try:
        ray.init(address=address, **options)
    except Exception as error:  # Ray raises its base class, too, such as for a slow start
        if address == LOCAL:
            raise ConnectionError(f"No Ray cluster starts in this machine: {error}") from error
        raise ConnectionError(
            f"There is no Ray cluster at {address!r} that this machine is a node of: {error}"
        ) from error
    try:
        context = data.DataContext.get_current()
        context.enable_progress_bars = False  # ours counts units
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raises an error for an address that nobody answers at, which Ray tries for minutes."""
    place = re.fullmatch(r"\[?([^\[\]/]+?)\]?:(\d{1,5})", address)
    if address == "auto":
        return
    if place is None or int(place[2]) >= 2**16:
        raise ValueError(
            f"The address of the Ray cluster is {address!r}, but must be 'local', 'auto', or "
            "HOST:PORT of its head, on a machine of the cluster ('ray://' addresses are not)."
        )
    try:
        socket.create_connection((place[1], int(place[2])), timeout=_CONNECT).close()
    except OSError as error:
        raise ConnectionError(
            f"Nothing answers at {address} ({error}): start a cluster by `ray start --head`, or "
            "name the address that it printed."
        ) from error


def _check_nodes(ray: Any, nodes: Sequence[Mapping[str, Any]], settings: Settings) -> None:
    """Checks that all nodes with devices see the checkpoint and the folder of the parts."""
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    plan = (Path(settings.folder) / PLAN).read_bytes()
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    looks = {
        node["NodeManagerAddress"]: task.options(
            scheduling_strategy=affinity(node["NodeID"], soft=False)
        ).remote(settings, plan)
        for node in nodes
        if node["Resources"].get("CPU") or node["Resources"].get("GPU")
    }
    own = versions()
    for name, reference in looks.items():
        try:
            found: Look = ray.get(reference, timeout=PATIENCE)
        except ray.exceptions.GetTimeoutError as error:
            raise ConnectionError(
                f"Node {name} has not answered within {PATIENCE} s: see `ray status`."
            ) from error
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConnectionError(f"Node {name} cannot run torchreid_occ: {reason}") from error
        if found.error:
            raise ValueError(
                f"Node {name} cannot take part: {found.error}. All nodes need the checkpoint, the "
                "footage and the folder of the parts under the same paths, such as by a network "
                "file system."
            )
        other = [key for key in own if key != "commit" and found.versions.get(key) != own[key]]
        if other:
            logger.warning(
                "Node %s has other versions of %s than this machine: features may differ in the "
                "last digits.",
                name,
                ", ".join(other),
            )
