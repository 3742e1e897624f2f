"""Files of pretrained weights: found in a folder, their layout determined, read; never downloaded.

The input that weights expect cannot be seen from the weights, and is never guessed. It is given, in
this order, by the metadata of a safetensors file (`input`: "BGR, ..." or "RGB, ..."); by the word
`caffe`, `torchvision` or `tensorflow` in the file's name; or by the name under which the file is
published, whose last eight digits are the start of its sha256. Anything else is refused.
"""

import hashlib
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli_training.perceptual.features import Layout

SUFFIXES = (".safetensors", ".pth", ".pt")

# Torchvision's own, the Caffe VGGs that Justin Johnson converted, and FID's Inception.
WHERE = {
    Layout.torchvision: "download.pytorch.org/models",
    Layout.caffe: "web.eecs.umich.edu/~justincj/models",
    Layout.tensorflow: "github.com/mseitzer/pytorch-fid/releases/download/fid_weights",
}
PUBLISHED = {
    "alexnet-owt-7be5be79.pth": Layout.torchvision,
    "alexnet-owt-4df8aa71.pth": Layout.torchvision,
    "vgg16-397923af.pth": Layout.torchvision,
    "vgg19-dcbb9e9d.pth": Layout.torchvision,
    "squeezenet1_1-b8a52dc0.pth": Layout.torchvision,
    "squeezenet1_1-f364aa15.pth": Layout.torchvision,
    "vgg16-00b39a1b.pth": Layout.caffe,
    "vgg19-d01eb7cb.pth": Layout.caffe,
    "pt_inception-2015-12-05-6726825d.pth": Layout.tensorflow,
    "weights-inception-2015-12-05-6726825d.pth": Layout.tensorflow,  # the same, of torch-fidelity
}


@dataclass(frozen=True)
class WeightsFile:
    """A file, the input layout of its weights, and its float32 tensors by name."""

    path: Path
    layout: Layout
    tensors: dict[str, Tensor]


def open_weights(
    folder: Path | None, name: str, what: str, *, layout: Layout | None = None
) -> WeightsFile:
    """Read the file of a network.

    Args:
        folder: the folder of the file.
        name: the start of its name, such as `vgg19`; `*` matches anything.
        what: the network in words, for messages.
        layout: the only accepted one; None for any. If the folder has several, Caffe's is taken, on
            which the recipes here and their figures are based.

    Raises:
        UsageError: no folder was given.
        UnreadableError: the folder lacks the file, or it is damaged or of an unknown layout.
    """
    hint = _wanted(name, what, layout)
    if folder is None:
        raise UsageError("No folder of feature networks was given.", hint=hint)
    found = [path for path in sorted(folder.glob(f"{name}*")) if path.suffix in SUFFIXES]
    fitting = [(layout_of(path), path) for path in found]
    fitting = [(kind, path) for kind, path in fitting if layout in (None, kind)]
    if not fitting:
        which = f" in {layout}'s layout" if found else ""
        raise UnreadableError(f"{folder} has no {name}*{SUFFIXES[0]} or .pth{which}.", hint=hint)
    kind, path = min(fitting)
    return WeightsFile(path, kind, {key: w.float() for key, w in read_tensors(path).items()})


def _wanted(name: str, what: str, layout: Layout | None) -> str:
    """The hint which file to download from where: torchvision's if any layout is accepted."""
    for file, kind in PUBLISHED.items():
        if fnmatch(file, f"{name}*") and layout in (None, kind):
            known = f", such as {WHERE[kind]}/{file}"
            break
    else:
        known = ""
    return f"{what} is needed: pass --features DIR with its file{known} (docs/reference/scores.md)."


def layout_of(path: Path) -> Layout:
    """The input layout of a file's weights.

    Raises:
        UnreadableError: the file does not say, or its sha256 is not the one in its name.
    """
    declared = _metadata(path).get("input", "")
    if declared[:3] in ("BGR", "RGB"):
        return Layout.caffe if declared.startswith("BGR") else Layout.torchvision
    words = [layout for layout in Layout if layout.value in path.name.lower()]
    if len(words) == 1:
        return words[0]
    if path.name in PUBLISHED:
        _check_digest(path)
        return PUBLISHED[path.name]
    raise UnreadableError(
        f"{path} does not say which input its weights take.",
        hint="Put `caffe` (BGR, 0-255, mean subtracted), `torchvision` (RGB, mean and standard "
        "deviation) or `tensorflow` (RGB, -1 to 1) into its name.",
    )


def _metadata(path: Path) -> dict[str, str]:
    if path.suffix != ".safetensors":
        return {}
    with _readable(path), safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _check_digest(path: Path) -> None:
    named = re.findall(r"-([0-9a-f]{8})\.", path.name)[-1]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(named):
        raise UnreadableError(
            f"{path} is damaged, or another file: its sha256 begins with {found[:8]}.",
            hint="Download it again.",
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth file that holds a state dict.

    Raises:
        UnreadableError: it cannot be read, or holds something else.
    """
    with _readable(path):
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(held, dict) or not all(isinstance(w, Tensor) for w in held.values()):
        raise UnreadableError(f"{path} holds no state dict.")
    return held


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the exceptions of the readers of weights into an `UnreadableError`."""
    try:
        yield
    except (SafetensorError, OSError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        what = "safetensors" if path.suffix == ".safetensors" else "a state dict"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnreadableError(f"{path} cannot be read as {what}: {reason}.") from error


def load_into(
    network: nn.Sequential, file: WeightsFile, rename: Callable[[str], str] = str
) -> None:
    """Copy the tensors `features.N...` into a network; `rename` converts other names to these.

    Raises:
        UnreadableError: they are of another network.
    """
    named = {rename(name): tensor for name, tensor in file.tensors.items()}
    wanted = network.state_dict()
    features = {
        name.removeprefix("features."): tensor
        for name, tensor in named.items()
        if name.startswith("features.")
    }
    if any(name not in wanted for name in features) or set(wanted) - set(features):
        raise UnreadableError(f"{file.path} holds another network: its layers are not the same.")
    try:
        network.load_state_dict(features)
    except RuntimeError as error:
        raise UnreadableError(f"{file.path} holds another network: {error}.") from error
