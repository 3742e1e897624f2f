"""The plug-in's modules that need no GIMP, loaded by their own names as GIMP's Python does."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "plugins" / "gimp" / "inpaintcli"


def load(name: str) -> ModuleType:
    """A module of the plug-in; what it imports from beside it is there as well."""
    for shared in ("protocol", "picture_request"):
        sys.modules.setdefault(shared, importlib.import_module(f"inpaintcli.gimp.{shared}"))
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module
