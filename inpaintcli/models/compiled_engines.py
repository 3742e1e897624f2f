"""The commands `engine build`, `list`, `show` and `clear`: compiled engines in the cache."""

import time
from typing import Any

from inpaintcli_engines.base import EngineUnavailableError
from inpaintcli_engines.select import available_backends, open_engine
from inpaintcli_engines.tensorrt.cache import CachedPlan, PlanCache

from inpaintcli.console import Console, ConsoleReport
from inpaintcli.errors import UsageError
from inpaintcli.models.adapter import adapter
from inpaintcli.models.cards import cards, find_card, verify

_SHORT = 12
"""Characters of a key in a list."""


def build(console: Console, model: str | None, device: str, precision: str) -> None:
    """Compile a model for a GPU, unless it is compiled already, and print the engine's key.

    Raises:
        UsageError: the device is the CPU.
        ModelError: the model is missing or damaged.
        EngineError: there is no such GPU, or no engine can be built that agrees with the CPU.
    """
    if device == "cpu":
        raise UsageError(
            "The CPU runs models without a compiled engine.",
            hint="Leave --device out, or name a GPU.",
        )
    reason = available_backends(device)["tensorrt"]
    if reason is not None:
        raise EngineUnavailableError(
            f"Nothing can be built for {device}: {reason}.",
            hint="`inpaintcli doctor` says what is missing.",
        )
    card = find_card(model)
    verify(card)
    cache = PlanCache()
    cache.check_writable()
    cache.forget_rejections()  # asked for anew, it is tried anew
    started = time.perf_counter()
    choice = open_engine(
        card.file,
        engine="tensorrt",
        device=device,
        precision=card.precision(precision),
        profile=card.profile,
        adapt=adapter(card.contract),
        report=ConsoleReport(console),
    )
    with choice.engine:
        entry = cache.entries()[0]  # the last used
    _show_line(console, entry, _names())
    console.say(f"ready in {time.perf_counter() - started:.1f} s")


def list_plans(console: Console) -> None:
    """Print a line for each compiled engine, the last used first."""
    cache = PlanCache()
    entries, names = cache.entries(), _names()
    for entry in entries:
        _show_line(console, entry, names)
    if not entries:
        console.say(f"No compiled engine in {cache.folder}.")


def show_plan(console: Console, key: str) -> None:
    """Print all fields of one compiled engine.

    Raises:
        UsageError: no key, or more than one, begins with `key`.
    """
    found = [entry for entry in PlanCache().entries() if entry.digest.startswith(key)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found)} compiled engines have a key that begins with '{key}'.",
            hint="`inpaintcli engine list` shows the keys.",
        )
    fields = _fields(found[0], _names())
    if console.json:
        console.record(fields)
        return
    for name, value in fields.items():
        if isinstance(value, dict):
            for inner, content in value.items():
                console.data(f"{name}.{inner}: {content}")
        else:
            console.data(f"{name}: {value}")


def clear_plans(console: Console) -> None:
    """Remove all compiled engines, and the builder's timing cache."""
    cache = PlanCache()
    count, size = cache.clear()
    console.record({"schema": 1, "removed": count, "bytes": size, "folder": str(cache.folder)})
    console.say(f"removed {count} compiled engines, {size / 2**20:.1f} MiB, from {cache.folder}")


def _show_line(console: Console, entry: CachedPlan, names: dict[str, str]) -> None:
    fields = _fields(entry, names)
    if console.json:
        console.record(fields)
        return
    key = fields["key"]
    console.data(
        f"{entry.digest[:_SHORT]}  {fields['model'] or 'unknown model':16} {key['precision']}  "
        f"{key['gpu']}  TensorRT {key['tensorrt']}  {entry.size / 2**20:.1f} MiB  "
        f"{min(fields['parity']['psnr_db']):.1f} dB"
    )


def _fields(entry: CachedPlan, names: dict[str, str]) -> dict[str, Any]:
    sha256 = entry.sidecar["key"]["onnx_sha256"]
    used = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used))
    return {
        "schema": 1,
        "digest": entry.digest,
        "model": names.get(sha256),
        "plan": str(entry.plan),
        "used": used,
        **{name: value for name, value in entry.sidecar.items() if name != "schema"},
    }


def _names() -> dict[str, str]:
    """The models' names by sha256."""
    return {card.sha256: name for name, card in cards().items()}
