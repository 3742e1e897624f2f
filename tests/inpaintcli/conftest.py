"""The GPU that is not there serves these tests as well."""

from tests.engines.conftest import gpu, small_model

__all__ = ["gpu", "small_model"]
