"""All commands of the program, for what documents them."""

from typing import Any


def commands(group: Any, before: str = "") -> list[tuple[str, Any]]:
    """The commands below a group, with their names, in the program's order."""
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        whole = f"{before}{name}"
        is_group = bool(getattr(command, "commands", None))
        found += commands(command, f"{whole} ") if is_group else [(whole, command)]
    return found
