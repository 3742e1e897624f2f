"""What others can see of a watch: a log, a status file, metrics for Prometheus.

None of them ever stops the watch: if one cannot be written, that is said once on standard error.
"""

import errno
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inpaintcli.batch.outcome import SCHEMA, Outcome
from inpaintcli.console import complain
from inpaintcli.errors import UsageError
from inpaintcli.imaging.images import TEMPORARY_SUFFIX
from inpaintcli.watch.state import WatchCounts

HEARTBEAT_S = 10.0
"""The status file is written at least so often; if it is older, the program hangs or has ended."""
STATUS_S = 1.0
"""And at most so often, except at the end."""
ESCAPED = "backslashreplace"
"""Bytes of a file name that are not UTF-8 become \\udcXX, which is valid JSON."""


def timestamp() -> str:
    """Now, in UTC with milliseconds, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class EventLog:
    """Appends JSON lines to a file, opened for each line, so that it may be moved at any time."""

    path: Path
    complain: Callable[[str], None] = complain
    _broken: bool = field(default=False, init=False)

    def write(self, event: str, fields: dict[str, Any]) -> None:
        """Append a line with the time, the event and the fields."""
        record = {"time": timestamp(), "event": event, **fields}
        try:
            with os.fdopen(_opened_for_lines(self.path), "ab") as file:
                line = json.dumps(record, ensure_ascii=False) + "\n"
                file.write(line.encode(errors=ESCAPED))
            self._broken = False
        except OSError as error:
            if not self._broken:
                self.complain(f"The log {self.path} cannot be written: {error.strerror}.")
            self._broken = True


@dataclass
class StatusFile:
    """A file with one JSON object that says what the watch is doing; always complete."""

    path: Path
    fixed: dict[str, Any]
    """Fields that never change: process id, start, folders."""
    complain: Callable[[str], None] = complain
    clock: Callable[[], float] = time.monotonic
    _last: dict[str, Any] = field(default_factory=dict, init=False)
    _written: float = field(default=float("-inf"), init=False)
    _broken: bool = field(default=False, init=False)

    def show(self, fields: dict[str, Any], *, at_once: bool = False) -> None:
        """Write the fields if they have changed, and now and then anyway; not too often."""
        age = self.clock() - self._written
        is_due = age >= (STATUS_S if fields != self._last else HEARTBEAT_S)
        if not (is_due or at_once):
            return
        self._last, self._written = fields, self.clock()
        record = {"schema": SCHEMA, **self.fixed, "updated": timestamp(), **fields}
        data = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        try:
            _replace(self.path, data.encode(errors=ESCAPED))
            self._broken = False
        except OSError as error:
            if not self._broken:
                self.complain(f"The status {self.path} cannot be written: {error.strerror}.")
            self._broken = True


def _replace(path: Path, data: bytes) -> None:
    """Replace a regular file as a whole; of a link, the file that it leads to.

    Not forced to the disk: after a power failure it would be outdated anyway.

    Raises:
        OSError: it cannot be written, or is no regular file.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "it is no regular file")
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    temporary.write_bytes(data)
    temporary.replace(path)


def _opened_for_lines(path: Path) -> int:
    """A file opened to append; a pipe that nobody reads is an error, instead of a long wait."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


class PrometheusMetrics:
    """Metrics for Prometheus, served on the loopback address until `close`.

    Raises:
        UsageError: the extra is not installed, or the port is taken.
    """

    def __init__(self, port: int) -> None:
        try:
            import prometheus_client as prometheus
        except ModuleNotFoundError as error:
            raise UsageError(
                "--metrics-port needs the package prometheus_client, which is not installed.",
                hint="Install the extra: pip install 'inpaintcli[metrics]'.",
            ) from error
        registry = prometheus.CollectorRegistry()
        self._photos = prometheus.Counter(
            "inpaintcli_photos", "Photos by outcome.", ["status"], registry=registry
        )
        self._seconds = prometheus.Histogram(
            "inpaintcli_fill_seconds", "Seconds from reading to writing.", registry=registry
        )
        self._last = prometheus.Gauge(
            "inpaintcli_last_outcome_timestamp_seconds",
            "When the last photo ended.",
            registry=registry,
        )
        self._now = prometheus.Gauge(
            "inpaintcli_files", "Queued, working, waiting, arriving.", ["state"], registry=registry
        )
        self._there = prometheus.Gauge(
            "inpaintcli_folder_present", "1 while the watched folders exist.", registry=registry
        )
        for status in ("filled", "skipped", "failed"):
            self._photos.labels(status)
        try:
            self._server, _ = prometheus.start_http_server(
                port, addr="127.0.0.1", registry=registry
            )
        except OSError as error:
            raise UsageError(
                f"--metrics-port {port} cannot be used: {error.strerror}.", hint="Name another."
            ) from error

    @property
    def url(self) -> str:
        """Their address; for port 0 with the port that was chosen."""
        return f"http://127.0.0.1:{self._server.server_port}/metrics"

    def count(self, outcome: Outcome) -> None:
        """Count one more outcome."""
        self._photos.labels(outcome.status).inc()
        self._last.set_to_current_time()
        if outcome.status == "filled":
            self._seconds.observe(outcome.seconds)

    def show(self, counts: WatchCounts, *, present: bool) -> None:
        """Set the numbers of photos and files in each state."""
        for state, number in asdict(counts).items():
            self._now.labels(state).set(number)
        self._there.set(present)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class Monitor:
    """Log, status file and metrics, as far as they are asked for; until `close`."""

    def __init__(
        self, *, log: Path | None, status: Path | None, metrics_port: int | None, **fixed: str
    ) -> None:
        """Start; `fixed` are further fields of the status file.

        Raises:
            UsageError: the metrics cannot be served, or the status file is no regular file.
        """
        if status is not None and status.exists() and not status.is_file():
            raise UsageError(
                f"--status {status} is no regular file; it would be replaced.",
                hint="Name another file.",
            )
        self.counts: Counter[str] = Counter()
        self._metrics = PrometheusMetrics(metrics_port) if metrics_port is not None else None
        self.metrics_url = self._metrics.url if self._metrics else None
        about = {"pid": os.getpid(), "started": timestamp(), **fixed, "metrics": self.metrics_url}
        self._log = EventLog(log) if log else None
        self._status = StatusFile(status, about) if status else None
        self._last: dict[str, Any] | None = None
        self._shown: tuple[WatchCounts, bool] = (WatchCounts(0, 0, 0, 0), True)
        self.event("started", about)

    def close(self) -> None:
        """Write the end to the log and the status file, and stop serving metrics."""
        self.event("stopped", self._totals())
        self._show(running=False)
        if self._metrics:
            self._metrics.close()

    def event(self, name: str, fields: dict[str, Any]) -> None:
        """Append a line to the log."""
        if self._log:
            self._log.write(name, fields)

    def outcome(self, outcome: Outcome, **more: Any) -> None:
        """Take the outcome of a photo; `more` are further fields of the log."""
        self.counts[outcome.status] += 1
        self._last = {"time": timestamp(), **outcome.to_json()}
        self.event("outcome", {**outcome.to_json(), **more})
        if self._metrics:
            self._metrics.count(outcome)

    def show(self, counts: WatchCounts, *, present: bool) -> None:
        """Take the present numbers; called in every turn of the loop."""
        self._shown = (counts, present)
        self._show(running=True)

    def _show(self, *, running: bool) -> None:
        counts, present = self._shown
        if self._metrics:
            self._metrics.show(counts, present=present)
        if self._status:
            state = {"running": running, "folder_present": present, "counts": self._totals()}
            fields = {**state, **asdict(counts), "last": self._last}
            self._status.show(fields, at_once=not running)

    def _totals(self) -> dict[str, int]:
        return {name: self.counts[name] for name in ("filled", "skipped", "failed")}
