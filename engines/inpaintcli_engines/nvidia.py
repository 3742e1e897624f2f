"""Finds the NVIDIA driver and GPUs of this machine, without CUDA's toolkit or packages."""

import ctypes
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver names it."""

    name: str
    compute_capability: str  # such as 8.9
    memory_bytes: int


@dataclass(frozen=True)
class Nvidia:
    """The driver and its GPUs; `why_not` says what is missing where there is no GPU."""

    driver: str  # its own version by NVML, else the newest CUDA that it supports
    cuda: str  # the newest CUDA that the driver supports
    gpus: tuple[Gpu, ...]
    why_not: str | None


@cache
def nvidia() -> Nvidia:
    """The driver and GPUs here, looked up once a process; 1 ms where there is no driver."""
    driver = _driver_library()
    if driver is None:
        return Nvidia("", "", (), "no NVIDIA driver is installed")
    if driver.cuInit(0) != 0:
        return Nvidia("", "", (), "the NVIDIA driver finds no GPU")
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    gpus = _gpus(driver)
    why_not = None if gpus else "the NVIDIA driver finds no GPU"
    return Nvidia(_driver_version() or f"CUDA {cuda}", cuda, gpus, why_not)


def _driver_library() -> Any:
    name = "nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1"
    with suppress(OSError):
        return ctypes.CDLL(name)
    return None


def _gpus(driver: Any) -> tuple[Gpu, ...]:
    """The GPUs in CUDA's order, which CUDA_VISIBLE_DEVICES changes."""
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    found = []
    for number in range(count.value):
        device, name, size = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetName(name, len(name), device)
        driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
        # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        major, minor = (_attribute(driver, number, device) for number in (75, 76))
        found.append(Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", size.value))
    return tuple(found)


def _attribute(driver: Any, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    driver.cuDeviceGetAttribute(ctypes.byref(value), number, device)
    return value.value


def _driver_version() -> str | None:
    """The driver's own version by NVML; None without the package nvidia-ml-py or its library."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
    return version.decode() if isinstance(version, bytes) else str(version)
