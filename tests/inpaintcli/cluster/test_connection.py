"""Joining a cluster: what is missing is named, and the program's own signals stay."""

import os
import signal
import socket
import sys
from types import ModuleType

import pytest
from inpaintcli_engines.base import EngineUnavailableError

from inpaintcli.cluster import connection
from inpaintcli.signals import Interrupted


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(EngineUnavailableError, match="Ray is not installed") as caught,
        connection.connect("local", None, 1),
    ):
        pass
    assert caught.value.code == 7
    assert caught.value.hint == "pip install 'inpaintcli[ray]'"


@pytest.fixture
def ray(monkeypatch):
    """A Ray that takes signals for itself; its cluster has two machines."""
    fake, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")
    fake.calls = []

    def init(**options):
        fake.calls.append(options)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    fake.init, fake.exceptions = init, exceptions
    fake.shutdown = lambda: fake.calls.append("shutdown")
    fake.nodes = lambda: [
        {"Alive": alive, "Resources": {"CPU": 4.0} if alive else {}}
        for alive in (True, True, False)
    ]
    for name, module in (("ray", fake), ("ray.exceptions", exceptions)):
        monkeypatch.setitem(sys.modules, name, module)
    for name in connection.ENVIRONMENT:
        monkeypatch.setenv(name, "1")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "ours to restore")
        monkeypatch.delenv(name)
    return fake


def test_a_cluster_is_joined_and_left_and_signals_stay_ours(ray):
    before = signal.getsignal(signal.SIGTERM)
    with connection.connect("barn", None, 100) as pool:
        assert signal.getsignal(signal.SIGTERM) == before
        assert (pool.workers, pool.threads) == (8, 1)
    assert ray.calls[0]["address"] == "barn"
    assert "num_cpus" not in ray.calls[0]
    assert ray.calls[-1] == "shutdown"


def test_a_local_cluster_has_room_for_all_workers(ray):
    with connection.connect("local", 64, 100) as pool:
        assert (pool.workers, pool.threads) == (64, 1)
    assert ray.calls[0]["num_cpus"] >= 64
    assert ray.calls[0]["include_dashboard"] is False


@pytest.mark.usefixtures("ray")
def test_a_local_cluster_has_a_secret_of_its_own_and_an_older_choice_stays(monkeypatch):
    with connection.connect("local", 1, 1):
        assert os.environ["RAY_AUTH_MODE"] == "token"
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with connection.connect("local", 1, 1):
        assert os.environ["RAY_AUTH_MODE"] == "disabled"
        assert "RAY_AUTH_TOKEN" not in os.environ


def test_the_way_into_a_cluster_that_wants_a_token_is_reported(ray):
    def refuse(**_):
        said = RuntimeError("Failed to connect. Last: ray.exceptions.AuthenticationError: no")
        raise ConnectionError("Failed to connect to Ray cluster") from said

    ray.init = refuse
    with (
        pytest.raises(EngineUnavailableError, match="RAY_AUTH_MODE=token"),
        connection.connect("barn", None, 1),
    ):
        pass


def test_a_signal_while_ray_begins_is_an_interruption_and_no_exit_code_of_rays(ray):
    def init(**_):
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)

    ray.init, before = init, signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught, connection.connect("barn", None, 1):
        pass
    assert caught.value.code == 130
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_cluster_that_cannot_be_reached_is_reported_in_one_line(ray):
    def away(**_):
        raise ConnectionError("nobody there\nand a page of advice")

    ray.init = away
    with (
        pytest.raises(EngineUnavailableError, match="nobody there Run this"),
        connection.connect("barn", None, 1),
    ):
        pass


def test_an_address_where_nobody_listens_is_reported_at_once(ray):
    ray.init = lambda **_: pytest.fail("Ray tries for minutes")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound, and nobody listens
        with (
            pytest.raises(EngineUnavailableError, match="Connection refused"),
            connection.connect(f"127.0.0.1:{port}", None, 1),
        ):
            pass


def test_a_cluster_without_cores_is_reported(ray):
    ray.nodes = list
    with (
        pytest.raises(EngineUnavailableError, match="no cores"),
        connection.connect("barn", None, 1),
    ):
        pass
    assert ray.calls[-1] == "shutdown"
