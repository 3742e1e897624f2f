"""A batch comes out whole, in order, whatever the device can hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inpaintcli_engines.base import NullReporter, OutOfDeviceMemoryError
from inpaintcli_engines.batching import BatchSplitter


class Device:
    """Doubles what it is given; holds so many at a time."""

    def __init__(self, room):
        self.room = room
        self.sizes = []

    def run(self, arrays):
        size = len(arrays["x"])
        self.sizes.append(size)
        if size > self.room:
            raise OutOfDeviceMemoryError("full")
        return {"y": 2 * arrays["x"]}


@given(st.integers(1, 40), st.integers(1, 50), st.none() | st.integers(1, 40))
def test_the_parts_join_to_the_whole(total, room, most):
    batch = np.arange(total)
    out = BatchSplitter(most, NullReporter()).run(Device(room).run, {"x": batch})
    np.testing.assert_array_equal(out["y"], 2 * batch)


def test_what_fitted_is_remembered():
    device, batches = Device(room=3), BatchSplitter(None, NullReporter())
    for _ in range(2):
        batches.run(device.run, {"x": np.arange(8)})
    assert device.sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]


def test_one_that_does_not_fit_is_an_error():
    with pytest.raises(OutOfDeviceMemoryError):
        BatchSplitter(None, NullReporter()).run(Device(room=0).run, {"x": np.arange(4)})
