"""A small writer of TOML, enough for cards; the standard library only reads it."""

from typing import Any


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """A table as TOML: strings, numbers, booleans, arrays of these, tables; no dates, no None."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{_toml_string(key)} = {_toml_value(value)}" for key, value in plain.items()]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in tables.items():
        path = prefix + _toml_string(key)
        text += f"\n[{path}]\n" + to_toml(value, f"{path}.")
    return text


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):
        return _toml_quoted(value)
    if isinstance(value, int | float):
        return repr(value)  # Python's nan, inf and 1e-05 are TOML's, too
    raise TypeError(f"{type(value).__name__} has no form here in TOML")


def _toml_string(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _toml_quoted(key)


def _toml_quoted(text: str) -> str:
    """A basic string; what TOML wants escaped becomes its code point."""
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\\x7f' else c for c in text)
    return f'"{escaped}"'
