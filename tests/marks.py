"""Which tests are left out of the quick checks: found by what a test uses, so that nobody has to remember a marker.

`program`: it starts a program, ours or another, also through fixtures and helpers of the tests. `slow` is written by
hand, at tests that take seconds without starting anything; what needs the demo's store is slow.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

STARTS = {"command", "subprocess", "create_subprocess_exec", "forkserver", "running", "get_context"}
LONGEST_FIRST = ("real", "program", "slow")
"""Files are handed to the workers in this order, those with most such tests first: a long one at the end would leave
the others with nothing to do.
"""


def mark(items: list[pytest.Item]) -> None:
    """Marks tests, and puts the files that take longest first."""
    for item in items:
        if names_used_by(item) & STARTS:
            item.add_marker("program")
        if "demo_config" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    ranks: dict[Any, list[int]] = {}
    for item in items:
        rank = next((i for i, name in enumerate(LONGEST_FIRST) if item.get_closest_marker(name)), len(LONGEST_FIRST))
        ranks.setdefault(item.path, []).append(rank)
    order = {path: (min(of), -of.count(min(of)), str(path)) for path, of in ranks.items()}
    items.sort(key=lambda item: order[item.path])  # stable: tests of a file stay in their order


def names_used_by(item: pytest.Item) -> set[str]:
    """Every name that a test uses, with its fixtures and with the helpers of the tests that these call."""
    test = getattr(item, "function", None)
    fixtures = getattr(item, "_fixtureinfo", None)
    given = [each.func for found in fixtures.name2fixturedefs.values() for each in found] if fixtures else []
    found: set[str] = set()
    seen: set[Any] = set()
    for function in [test, *given]:
        gather(function, found, seen)
    return found


def gather(thing: Any, found: set[str], seen: set[Any]) -> None:
    """Adds the names that a function or a class of the tests uses, and those of what it calls."""
    thing = getattr(thing, "__wrapped__", thing)
    if thing in seen or not str(getattr(thing, "__module__", "")).startswith("tests"):
        return
    seen.add(thing)
    names, used = uses(thing)
    found |= names
    for each in used:
        gather(each, found, seen)


@cache
def uses(thing: Any) -> tuple[frozenset[str], frozenset[Any]]:
    """The names in a function or a class, and the functions and classes among what they stand for."""
    names: set[str] = set()
    used: set[Any] = set()
    for function in functions(thing):
        own = set(names_in(function.__code__))
        names |= own
        known = [function.__globals__.get(name) for name in own]
        for module in [each for each in known if isinstance(each, ModuleType) and each.__name__.startswith("tests")]:
            known += [vars(module).get(name) for name in own]
        used |= {each for each in known if isinstance(each, FunctionType | type)}
    return frozenset(names), frozenset(used)


def functions(thing: Any) -> Iterator[FunctionType]:
    own: Callable[[Any], bool] = lambda each: isinstance(each, FunctionType)  # noqa: E731 - said once
    if isinstance(thing, type):
        yield from filter(own, vars(thing).values())
    elif own(thing):
        yield thing


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)
