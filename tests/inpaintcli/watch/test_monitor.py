"""Promises of log, status file and metrics."""

import json
import os
import socket
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import UsageError
from inpaintcli.watch.monitor import (
    HEARTBEAT_S,
    STATUS_S,
    EventLog,
    Monitor,
    PrometheusMetrics,
    StatusFile,
)
from inpaintcli.watch.state import WatchCounts
from tests.inpaintcli.watch.watched import Clock

DONE = Outcome(status="filled", input=Path("a.png"), mask=None, output=Path("b.png"), seconds=0.5)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_is_json_lines_and_goes_on_after_rotation(tmp_path):
    log = EventLog(tmp_path / "log")
    log.write("first", {"name": "Täst"})
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.write("second", {})
    assert [line["event"] for line in lines(tmp_path / "log.1")] == ["first"]
    assert [line["event"] for line in lines(tmp_path / "log")] == ["second"]
    assert lines(tmp_path / "log.1")[0]["name"] == "Täst"


def test_names_that_are_no_text_are_reported_too(tmp_path):
    name = os.fsdecode(b"\xff.png")
    EventLog(tmp_path / "log").write("outcome", {"input": name})
    StatusFile(tmp_path / "st.json", {"folder": name}).show({})
    assert lines(tmp_path / "log")[0]["input"] == name
    assert json.loads((tmp_path / "st.json").read_text())["folder"] == name


def test_a_log_that_cannot_be_written_is_reported_once_and_again_after_it_worked(tmp_path):
    told = []
    log = EventLog(tmp_path / "gone/log", told.append)
    log.write("lost", {})
    log.write("lost", {})
    assert len(told) == 1
    (tmp_path / "gone").mkdir()
    log.write("kept", {})
    log.path = tmp_path / "gone"
    log.write("lost", {})
    assert len(told) == 2


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_a_pipe_without_a_reader_does_not_hold_up_the_log(tmp_path):
    os.mkfifo(tmp_path / "log")
    told = []
    EventLog(tmp_path / "log", told.append).write("lost", {})
    assert len(told) == 1
    assert (tmp_path / "log").is_fifo()


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_a_status_file_replaces_regular_files_only(tmp_path):
    """Also where the file becomes something else under a running watch."""
    told, path = [], tmp_path / "st.json"
    status = StatusFile(path, {}, told.append)
    (tmp_path / "data").mkdir()
    path.symlink_to("data/real.json")
    status.show({}, at_once=True)
    assert path.is_symlink()
    assert json.loads((tmp_path / "data/real.json").read_text())["schema"] == 1
    path.unlink()
    os.mkfifo(path)
    status.show({}, at_once=True)
    path.unlink()
    path.symlink_to(os.devnull)
    status.show({}, at_once=True)
    assert path.is_symlink()
    assert len(told) == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "st.json"]


def test_the_status_file_is_complete_not_too_often_and_shows_signs_of_life(tmp_path):
    clock = Clock()
    status = StatusFile(tmp_path / "st.json", {"pid": 1}, clock=clock)

    def shown(fields, **options):
        (tmp_path / "st.json").unlink(missing_ok=True)
        status.show(fields, **options)
        path = tmp_path / "st.json"
        return json.loads(path.read_text()) if path.exists() else None

    assert shown({"queued": 1})["queued"] == 1
    assert shown({"queued": 2}) is None
    clock.now += STATUS_S
    assert shown({"queued": 2})["pid"] == 1
    clock.now += STATUS_S
    assert shown({"queued": 2}) is None
    clock.now += HEARTBEAT_S
    assert shown({"queued": 2}) is not None
    assert shown({"queued": 3}, at_once=True)["queued"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["st.json"]


def test_a_status_file_that_cannot_be_written_never_stops_the_watch(tmp_path):
    told = []
    status = StatusFile(tmp_path / "gone/st.json", {}, told.append)
    status.show({}, at_once=True)
    status.show({}, at_once=True)
    assert len(told) == 1


def test_the_monitor_counts_and_tells_the_end(tmp_path):
    monitor = Monitor(
        log=tmp_path / "log", status=tmp_path / "st.json", metrics_port=None, folder="in"
    )
    with closing(monitor):
        monitor.outcome(DONE, started="now")
        monitor.show(WatchCounts(3, 1, 2, 0), present=True)
    status = json.loads((tmp_path / "st.json").read_text())
    assert status["running"] is False
    assert status["counts"] == {"filled": 1, "skipped": 0, "failed": 0}
    assert (status["queued"], status["working"], status["waiting"]) == (3, 1, 2)
    assert status["last"]["input"] == "a.png"
    assert {"pid", "started", "updated", "folder"} <= set(status)
    assert [line["event"] for line in lines(tmp_path / "log")] == ["started", "outcome", "stopped"]


def test_metrics_are_served_on_the_loopback_address_only():
    pytest.importorskip("prometheus_client", reason="the extra `metrics` is not installed")
    with closing(Monitor(log=None, status=None, metrics_port=0)) as monitor:
        metrics = monitor._metrics
        assert metrics is not None
        monitor.outcome(DONE)
        monitor.show(WatchCounts(3, 1, 2, 0), present=True)
        assert metrics._server.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(metrics.url) as answer:  # noqa: S310 - http, above
            text = answer.read().decode()
    assert 'inpaintcli_photos_total{status="filled"} 1.0' in text
    assert 'inpaintcli_photos_total{status="failed"} 0.0' in text
    assert 'inpaintcli_files{state="queued"} 3.0' in text
    assert "inpaintcli_fill_seconds_sum 0.5" in text


def test_a_port_that_is_taken_is_reported():
    pytest.importorskip("prometheus_client", reason="the extra `metrics` is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be used"):
            PrometheusMetrics(taken.getsockname()[1])


def test_without_the_extra_the_way_to_get_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError) as caught:
        PrometheusMetrics(0)
    assert "inpaintcli[metrics]" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
def test_a_status_that_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "status")
    with pytest.raises(UsageError, match="no regular file"):
        Monitor(log=None, status=tmp_path / "status", metrics_port=None)
