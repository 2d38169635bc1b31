"""Regular expressions that mean the same to RE2, DuckDB's engine, as to Python: checked before a query runs."""

import re
import warnings

MOST_REPEATS = 1000  # RE2 refuses more
ESCAPES = re.compile(r"\\(?![dDwWsSbB]|[!-/:-@\[-^`{-~])")
GROUPS = re.compile(r"\(\?(?!:|i\))")
REPEATS = re.compile(r"\{(\d*),?(\d*)\}")


def pattern_fault(pattern: str) -> str | None:
    """Why RE2 may not take a pattern, or may take it otherwise than Python does; None for a plain one."""
    bare = re.sub(r"\\\\|\\[^A-Za-z0-9]", "", pattern)  # without escaped signs
    if ESCAPES.search(pattern.replace("\\\\", "")) or GROUPS.search(bare) or re.search(r"[*+?}]\+|\{,", bare):
        return "this pattern uses more than plain regular expressions (no look-around, no back-reference)"
    repeats = 1
    for least, most in REPEATS.findall(bare):
        repeats *= int(most or least or 1) or 1
    if repeats > MOST_REPEATS:
        return f"this pattern repeats more than {MOST_REPEATS} times"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, Warning, OverflowError) as error:
        return f"this is not a regular expression: {error}"
    return None
