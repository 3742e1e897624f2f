"""Connect to a Ray cluster, or start one on this machine, and divide its cores among workers."""

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from inpaintcli_engines.base import EngineUnavailableError, cores

from inpaintcli.batch.thread_pool import MAX_DEFAULT_WORKERS
from inpaintcli.errors import UsageError
from inpaintcli.signals import Interrupted, signals_restored

LOCAL = "local"
CONNECT_TIMEOUT_S = 10.0
STORE_BYTES = 100_000_000
"""The size of a local cluster's object store: no pictures pass through it."""
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # Ray writes them to standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a worker without GPUs of its own sees them all
    "RAY_worker_niceness": "0",  # 15 by default, which starves workers on a busy machine
}
NOT_REACHED_HINT = (
    "Run this on a machine of the cluster (`ray start --address=...`), or pass --ray local."
)
AUTHENTICATION_HINT = (
    "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what `ray get-auth-token` says at its head."
)


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """A connected cluster; `workers` of them use `threads` cores each. `ray` is Ray's module."""

    ray: Any
    workers: int
    threads: int


@contextmanager
def connect(address: str, workers: int | None, jobs: int) -> Iterator[RayCluster]:
    """Connect to a cluster, or start one on this machine, for the time of a `with` block.

    Args:
        address: the cluster's, `auto` for the one that this machine belongs to, or LOCAL.
        workers: how many; None for a number that suits the cluster.
        jobs: there are no more workers than jobs.

    Raises:
        EngineUnavailableError: Ray is not installed, or the cluster cannot be reached.
        UsageError: the cluster has fewer cores than workers.
    """
    if address == LOCAL:
        _require_token()
    ray = _import_ray()
    number, threads = divide_cores([cores()], jobs, workers)
    options: dict[str, Any] = {"address": address}
    if address == LOCAL:
        options |= {"num_cpus": max(cores(), number), "object_store_memory": STORE_BYTES}
        options |= {"include_dashboard": False}
    try:
        _check_listening(address)
        with signals_restored():
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except SystemExit as error:  # raised by the SIGTERM handler that Ray sets while it starts
        raise Interrupted from error
    except Exception as error:
        raise EngineUnavailableError(
            f"The Ray cluster {address} cannot be reached: {first_line(error)}",
            hint=AUTHENTICATION_HINT if _is_refusal(error) else NOT_REACHED_HINT,
        ) from error
    try:
        if address != LOCAL:
            number, threads = divide_cores(_cores_of(ray), jobs, workers)
        yield RayCluster(ray=ray, workers=number, threads=threads)
    finally:
        ray.shutdown()


def _is_refusal(error: Exception) -> bool:
    """Whether the cluster requires a token: some versions of Ray say so only in a cause's text."""
    return "AuthenticationError" in f"{error!r} {error.__cause__!r}"


def _require_token() -> None:
    """Close a local cluster to others, by a token that is not stored in the user's home."""
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def divide_cores(cores_of: Sequence[int], jobs: int, workers: int | None) -> tuple[int, int]:
    """How many workers, and threads for each, given the number of cores of each machine.

    Raises:
        UsageError: there are several machines, with fewer cores than workers.
    """
    default = sum(min(MAX_DEFAULT_WORKERS, count) for count in cores_of)
    number = workers or max(1, min(jobs, default))
    if len(cores_of) > 1 and number > sum(cores_of):
        raise UsageError(f"{number} workers need as many cores; the cluster has {sum(cores_of)}.")
    threads = max(1, sum(cores_of) // number)
    while threads > 1 and sum(count // threads for count in cores_of) < number:
        threads -= 1
    return number, threads


def _check_listening(address: str) -> None:
    """Check that something listens at HOST:PORT: Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def _cores_of(ray: Any) -> list[int]:
    nodes = (node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    found = [int(count) for count in nodes if count >= 1]
    if not found:
        raise EngineUnavailableError("The Ray cluster has no cores.", hint="See `ray status`.")
    return found


def _import_ray() -> Any:
    """Ray's module; Ray prints nothing and sends no usage statistics.

    Raises:
        EngineUnavailableError: it is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        with signals_restored():
            import ray
            import ray.exceptions
    except ImportError as error:
        raise EngineUnavailableError(
            f"Ray is not installed: {error}.", hint="pip install 'inpaintcli[ray]'"
        ) from error
    return ray


def first_line(error: Exception) -> str:
    """The first line of one of Ray's errors, which can be pages long."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
