"""Looks in a platform's item: at dotted paths, in lists by what names an element, and for the plain values within.

A path is looked up in dicts by key, in lists by the `name`, `key`, `id` or `field` of an element, by position, or in
every element.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from exporter.records.columns import Scalar

NAMES = ("name", "key", "id", "field")
VALUES = ("value", "values", "name", "display_value", "displayName", "label", "title", "text")


def lookup(value: Any, parts: Sequence[str]) -> Any:
    """What an item holds at a dotted path; None where it holds nothing there."""
    for i, part in enumerate(parts):
        if isinstance(value, dict):
            if part not in value:
                return value.get(".".join(parts[i:]))  # a key may have dots in it
            value = value[part]
        elif isinstance(value, list):
            value = _in_list(value, part)
        else:
            return None
    return value


def _in_list(values: list[Any], part: str) -> Any:
    """The element named `part`, or at that position, or that part of every element."""
    elements = [value for value in values if isinstance(value, dict)]
    for element in elements:
        if any(str(element.get(name)) == part for name in NAMES):
            return element
    if part.isdecimal() and int(part) < len(values):
        return values[int(part)]
    return [element[part] for element in elements if part in element]


def scalars(value: Any, nothing: Callable[[Any], bool] | None = None) -> Iterator[Scalar]:
    """The plain values within a value: all of a list, and of an element (a dict) its value."""
    if isinstance(value, list):
        for each in value:
            yield from scalars(each, nothing)
    elif isinstance(value, dict):
        yield from scalars(next((value[name] for name in VALUES if value.get(name) is not None), None), nothing)
    elif value is not None and not (isinstance(value, str) and not value.strip()) and not (nothing and nothing(value)):
        yield value
