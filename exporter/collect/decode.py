"""Decodes JSON as it is sent: half a surrogate pair, NaN, huge numbers and deep nesting cost only that value."""

import json
import re
from math import inf
from typing import Any

import msgspec

DEEPEST = 100  # levels; what is nested deeper becomes null
AT_ONCE = 64 * 1024  # bytes
PART_LEVELS = 3  # the items of an answer stand no deeper; each level reads all that is below it once more
MOST_DIGITS = 400  # no float has more
TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
HALVES = re.compile("[\ud800-\udfff]")


def decoded(body: bytes) -> Any:
    """The value of a JSON text. Raises ValueError, whose text may quote it, where it is none."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):  # perhaps not JSON; perhaps only more than the standard allows
        pass
    try:
        return lenient(body)
    except RecursionError:
        return lenient(pruned(body))


def decoded_in_parts(body: bytes, levels: int = PART_LEVELS) -> Any:
    """The same, of a large text item by item: other threads can go on in between."""
    if len(body) <= AT_ONCE or not levels:
        return decoded(body)
    try:
        if body.lstrip()[:1] == b"[":
            return [decoded(bytes(item)) for item in msgspec.json.decode(body, type=list[msgspec.Raw])]
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return decoded(body)
    return {name: decoded_in_parts(bytes(value), levels - 1) for name, value in fields.items()}


def lenient(body: bytes) -> Any:
    text = body.decode(errors="replace").removeprefix("\ufeff")
    return whole(json.loads(text, parse_int=integer))


def integer(digits: str) -> int | float:
    """Python refuses to read a number of thousands of digits as a whole one."""
    return int(digits) if len(digits) <= MOST_DIGITS else -inf if digits.startswith("-") else inf


def whole(value: Any) -> Any:
    """The value with half surrogate pairs, which no text can be stored with, replaced."""
    if isinstance(value, str):
        return HALVES.sub("\ufffd", value)
    if isinstance(value, list):
        return [whole(each) for each in value]
    return {whole(key): whole(each) for key, each in value.items()} if isinstance(value, dict) else value


def pruned(body: bytes) -> bytes:
    """The text without what is nested too deeply to be read."""
    cut, depth, begin = bytearray(), 0, 0
    for token in TOKENS.finditer(body):
        sign = token[0]
        if sign in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                cut += body[begin : token.start()] + b"null"
        elif sign in b"]}":
            depth -= 1
            if depth == DEEPEST:
                begin = token.end()
    return bytes(cut + body[begin:]) if depth <= DEEPEST else bytes(cut)
