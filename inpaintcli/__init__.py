"""Fill holes in photographs. Importing this package loads nothing heavy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpaintcli_engines.base import EngineError

    from inpaintcli.api import fill, mask, verify
    from inpaintcli.batch.composites_api import guided, harmonize
    from inpaintcli.errors import InpaintError
    from inpaintcli.inpaint.pipeline import Model, open_model
    from inpaintcli.objects_api import remove

__version__ = "0.1.0"
__all__ = [
    "EngineError",
    "InpaintError",
    "Model",
    "__version__",
    "fill",
    "guided",
    "harmonize",
    "mask",
    "open_model",
    "remove",
    "verify",
]

_HOMES = {
    "EngineError": "inpaintcli_engines.base",
    "InpaintError": "inpaintcli.errors",
    "Model": "inpaintcli.inpaint.pipeline",
    "fill": "inpaintcli.api",
    "guided": "inpaintcli.batch.composites_api",
    "harmonize": "inpaintcli.batch.composites_api",
    "mask": "inpaintcli.api",
    "open_model": "inpaintcli.inpaint.pipeline",
    "remove": "inpaintcli.objects_api",
    "verify": "inpaintcli.api",
}


def __getattr__(name: str) -> Any:
    """Import a name of the library when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
