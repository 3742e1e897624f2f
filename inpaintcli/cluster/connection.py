"""Joining a Ray cluster, or beginning one on this machine, and how it is shared out."""

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from inpaintcli_engines.base import EngineUnavailableError, cores

from inpaintcli.batch.thread_pool import MOST_WORKERS
from inpaintcli.errors import UsageError
from inpaintcli.signals import Interrupted, kept_signals

LOCAL = "local"
KNOCK_S = 10.0
STORE_BYTES = 100_000_000
"""Of a local cluster's object store: no pictures go through it."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # they would go to standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # workers see GPUs as this machine's do
    "RAY_worker_niceness": "0",  # 15 by default: nothing is left for them where others work
}
AWAY = "Run this on a machine of the cluster (`ray start --address=...`), or pass --ray local."
AUTHENTICATE = (
    "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what `ray get-auth-token` says at its head."
)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A cluster that we are connected to, and how it is shared out."""

    ray: Any
    workers: int
    threads: int


@contextmanager
def connected(address: str, workers: int | None, jobs: int) -> Iterator[Pool]:
    """Join a cluster, or begin one on this machine, until the end.

    Args:
        address: of the cluster, `auto` for the one that this machine belongs to, or LOCAL.
        workers: how many; None leaves it to the cluster's size.
        jobs: no more workers than that.

    Raises:
        EngineUnavailableError: Ray is not installed, or the cluster cannot be reached.
        UsageError: the cluster has fewer cores than workers.
    """
    if address == LOCAL:
        _choose_token()
    ray = _imported()
    number, threads = divided([cores()], jobs, workers)
    options: dict[str, Any] = {"address": address}
    if address == LOCAL:
        options |= {"num_cpus": max(cores(), number), "object_store_memory": STORE_BYTES}
        options |= {"include_dashboard": False}
    try:
        _knock(address)
        with kept_signals():
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except SystemExit as error:  # of the handler of SIGTERM that Ray sets while it begins
        raise Interrupted from error
    except Exception as error:
        raise EngineUnavailableError(
            f"The Ray cluster {address} cannot be reached: {first_line(error)}",
            hint=AUTHENTICATE if _is_refusal(error) else AWAY,
        ) from error
    try:
        if address != LOCAL:
            number, threads = divided(_cores_of(ray), jobs, workers)
        yield Pool(ray=ray, workers=number, threads=threads)
    finally:
        ray.shutdown()


def _is_refusal(error: Exception) -> bool:
    """Whether the cluster wants a token: some versions of Ray say so in a cause's text alone."""
    return "AuthenticationError" in f"{error!r} {error.__cause__!r}"


def _choose_token() -> None:
    """Let nobody else into a local cluster, and let Ray write no token into the user's home."""
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def divided(cores_of: Sequence[int], jobs: int, workers: int | None) -> tuple[int, int]:
    """How many workers, and threads of each, for machines of so many cores.

    Raises:
        UsageError: there are several machines, with fewer cores than workers.
    """
    number = workers or max(1, min(jobs, sum(min(MOST_WORKERS, count) for count in cores_of)))
    if len(cores_of) > 1 and number > sum(cores_of):
        raise UsageError(f"{number} workers need as many cores; the cluster has {sum(cores_of)}.")
    threads = max(1, sum(cores_of) // number)
    while threads > 1 and sum(count // threads for count in cores_of) < number:
        threads -= 1
    return number, threads


def _knock(address: str) -> None:
    """See whether anybody listens at HOST:PORT: Ray itself tries for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def _cores_of(ray: Any) -> list[int]:
    nodes = (node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    found = [int(count) for count in nodes if count >= 1]
    if not found:
        raise EngineUnavailableError("The Ray cluster has no cores.", hint="See `ray status`.")
    return found


def _imported() -> Any:
    """Ray, told to be quiet and to report nothing to anybody.

    Raises:
        EngineUnavailableError: it is not installed.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with kept_signals():
            import ray
            import ray.exceptions
    except ImportError as error:
        raise EngineUnavailableError(
            f"Ray is not installed: {error}.", hint="pip install 'inpaintcli[ray]'"
        ) from error
    return ray


def first_line(error: Exception) -> str:
    """What an error of Ray says, without the pages that follow."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
