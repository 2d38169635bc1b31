"""Regular expressions of a config. RE2 matches them: in time linear in the text, whatever the pattern.

Python's own engine can take for ever over `(a+)+$` and 35 characters, and holds the whole process while it does.
"""

import re
from typing import Any, Protocol

import re2

LONGEST_TEXT = 100_000
"""A longer value does not match. To cut it would let the rest of it pass for what was never there."""

FROM_NONE = re.compile(r"(?<!\\)\{,(\d+)\}")
"""`{,5}`: up to five to Python, but to RE2 those four signs."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # it would write to stderr by itself


class Pattern(Protocol):
    """A compiled expression, as far as it is used here."""

    @property
    def groups(self) -> int: ...

    def fullmatch(self, text: str) -> Any: ...


def compile_pattern(pattern: str) -> Pattern:
    """The compiled expression. Raises ValueError with the reason if RE2 refuses it."""
    try:
        compiled: Pattern = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{text}; RE2 has no look-around and no back-references") from None
    return compiled


def fits(pattern: Pattern, text: str) -> bool:
    """Whether the whole text matches, whatever a group of it holds."""
    return len(text) <= LONGEST_TEXT and pattern.fullmatch(text) is not None


def matched(pattern: Pattern, text: str) -> str | None:
    """The text of the first group, or the whole text if there is no group; None if the whole text does not match."""
    match = pattern.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    return None if match is None else match[1] if pattern.groups else match[0]


def pattern_fault(pattern: str) -> str | None:
    """Why RE2, which is DuckDB's engine too, refuses a pattern; None if it accepts it."""
    if found := FROM_NONE.search(pattern):
        return f"write {{0,{found[1]}}} instead of {found[0]}"
    try:
        compile_pattern(pattern)
    except ValueError as error:
        return f"this is not a regular expression: {error}"
    return None
