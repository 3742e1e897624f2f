"""What the driver tells, read through a driver that is made up."""

import ctypes

import pytest
from inpaintcli_engines import nvidia


class Driver:
    """libcuda with two GPUs; arguments come as ctypes takes them."""

    def __init__(self, result=0, count=2):
        self.result, self.count = result, count

    def cuInit(self, _flags):
        return self.result

    def cuDriverGetVersion(self, version):
        version._obj.value = 13010

    def cuDeviceGetCount(self, count):
        count._obj.value = self.count

    def cuDeviceGet(self, device, number):
        device._obj.value = number

    def cuDeviceGetName(self, name, size, device):
        assert size == len(name)
        name.value = f"GPU {device.value}".encode()

    def cuDeviceTotalMem_v2(self, size, device):
        size._obj.value = (device.value + 1) << 30

    def cuDeviceGetAttribute(self, value, number, _device):
        value._obj.value = {75: 8, 76: 9}[number]


@pytest.fixture
def driver(monkeypatch):
    def install(made):
        monkeypatch.setattr(nvidia, "_driver_library", lambda: made)
        monkeypatch.setattr(nvidia, "_driver_version", lambda: None)
        nvidia.nvidia.cache_clear()
        return nvidia.nvidia()

    yield install
    nvidia.nvidia.cache_clear()


def test_the_drivers_gpus_are_found(driver):
    found = driver(Driver())
    assert found.why_not is None
    assert (found.driver, found.cuda) == ("CUDA 13.1", "13.1")
    assert found.gpus[1] == nvidia.Gpu("GPU 1", "8.9", 2 << 30)


@pytest.mark.parametrize(
    ("made", "reason"),
    [(None, "no NVIDIA driver"), (Driver(result=100), "no GPU"), (Driver(count=0), "no GPU")],
)
def test_what_is_missing_is_named(driver, made, reason):
    found = driver(made)
    assert found.gpus == ()
    assert reason in found.why_not


def test_the_addresses_are_those_of_ctypes():
    value = ctypes.c_int()
    assert ctypes.byref(value)._obj is value  # what the driver above relies on
