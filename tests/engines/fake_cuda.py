"""A stand-in for `cuda.bindings.runtime`: one device whose memory is this process's own.

Names and parameters are those of cuda-python, which test_contract.py compares. `knobs` sets how
much memory the device has, and makes calls fail.
"""

import ctypes
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace

import numpy as np

cudaStreamNonBlocking = 1


@dataclass
class Knobs:
    """What the device has and does; reset for every test."""

    devices: int = 1
    memory: int = 1 << 30
    name: bytes = b"Fake GPU"
    capability: tuple = (8, 9)
    fail_execute: str = ""
    fail_capture: bool = False
    launches: int = 0
    held: dict = field(default_factory=dict)  # address -> ctypes memory, device and pinned
    pinned: set = field(default_factory=set)
    streams: dict = field(default_factory=dict)  # handle -> what is being captured, or None

    def used(self):
        """Bytes of the device."""
        return sum(len(m) for a, m in self.held.items() if a not in self.pinned)


knobs = Knobs()


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorNoDevice = 100
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


OK = cudaError_t.cudaSuccess


def cudaGetErrorString(error):
    return OK, cudaError_t(error).name.encode()


def cudaGetLastError():
    return (OK,)


def cudaGetDeviceCount():
    return (OK if knobs.devices else cudaError_t.cudaErrorNoDevice), knobs.devices


def cudaSetDevice(device):
    assert device < knobs.devices
    return (OK,)


def cudaGetDeviceProperties(device):
    major, minor = knobs.capability
    return OK, SimpleNamespace(name=knobs.name, major=major, minor=minor)


def cudaRuntimeGetVersion():
    return OK, 13000


def cudaDriverGetVersion():
    return OK, 13010


def cudaMemGetInfo():
    return OK, knobs.memory - knobs.used(), knobs.memory


def cudaStreamCreateWithFlags(flags):
    assert flags == cudaStreamNonBlocking
    handle = 1000 + len(knobs.streams)
    knobs.streams[handle] = None
    return OK, handle


def cudaStreamDestroy(stream):
    del knobs.streams[stream]
    return (OK,)


def cudaStreamSynchronize(stream):
    assert knobs.streams[stream] is None
    return (OK,)


def cudaMalloc(size):
    if knobs.used() + size > knobs.memory:
        return cudaError_t.cudaErrorMemoryAllocation, 0
    return OK, _hold(size)


def cudaFree(devPtr):
    del knobs.held[devPtr]
    return (OK,)


def cudaMallocHost(size):
    address = _hold(size)
    knobs.pinned.add(address)
    return OK, address


def cudaFreeHost(ptr):
    del knobs.held[ptr]
    knobs.pinned.remove(ptr)
    return (OK,)


def cudaMemcpyAsync(dst, src, count, kind, stream):
    to_device = kind == cudaMemcpyKind.cudaMemcpyHostToDevice
    assert (src in knobs.pinned) == to_device
    assert (dst in knobs.pinned) != to_device
    on_stream(stream, lambda: _move(dst, src, count))
    return (OK,)


def cudaStreamBeginCapture(stream, mode):
    assert mode is cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    knobs.streams[stream] = []
    return (OK,)


def cudaStreamEndCapture(stream):
    captured, knobs.streams[stream] = knobs.streams[stream], None
    if knobs.fail_capture:
        return cudaError_t.cudaErrorStreamCaptureInvalidated, None
    return OK, captured


def cudaGraphInstantiate(graph, flags):
    return OK, tuple(graph)


def cudaGraphLaunch(graphExec, stream):
    knobs.launches += 1
    for work in graphExec:
        on_stream(stream, work)
    return (OK,)


def cudaGraphExecDestroy(graphExec):
    return (OK,)


def cudaGraphDestroy(graph):
    return (OK,)


def on_stream(stream, work):
    """Do the work, or record it while the stream is captured."""
    captured = knobs.streams[stream]
    if captured is None:
        work()
    else:
        captured.append(work)


def view(address, shape):
    """The fp32 array that lies at an address."""
    check_alive(address)
    memory = np.frombuffer(memoryview(knobs.held[address]), np.float32)
    return memory[: int(np.prod(shape))].reshape(shape)


def check_alive(address):
    """Memory that was given back must not be used."""
    assert address in knobs.held, "used after it was freed"


def _hold(size):
    memory = (ctypes.c_byte * size)()
    address = ctypes.addressof(memory)
    knobs.held[address] = memory
    return address


def _move(dst, src, count):
    check_alive(dst)
    check_alive(src)
    ctypes.memmove(dst, src, count)
