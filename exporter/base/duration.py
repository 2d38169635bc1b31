"""Lengths of time as people write them: `30s`, `1h30m`, `72h`, `7d`, as whole seconds, and back."""

import re

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
LONGEST_SECONDS = 100 * 365 * 86400
PATTERN = "^(?=[0-9])([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
"""The same for programs that only look at the form."""
_WRITTEN = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def seconds(text: str) -> int:
    """`1h30m` -> 5400. ValueError for anything else, a length of nothing included."""
    match = _WRITTEN.fullmatch(text)
    total = sum(int(n) * unit for n, unit in zip(match.groups(), UNITS.values(), strict=True) if n) if match else 0
    if not 0 < total <= LONGEST_SECONDS:
        raise ValueError("this is not a length of time; write it like 30s, 1h30m, 72h or 7d")
    return total


def text(length: int) -> str:
    """5400 -> `1h30m`; the shortest way to write it, so that equal lengths have equal names."""
    parts = []
    for name, unit in UNITS.items():
        count, length = divmod(length, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"
