"""Paths of a config that lead nowhere in what a platform answers: mostly a name that is misspelt."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from exporter.collect.lookup import NAMES, lookup
from exporter.records import Json

DEEPEST = 4  # levels in which names are looked for
MOST_ITEMS = 200
MOST_NAMES = 2_000
LONGEST = 60


def unseen(paths: Iterable[str], items: Sequence[Json]) -> list[tuple[str, str]]:
    """(path, the nearest one there is, or "") of each path that no item has, whatever its value would be."""
    some = items[:MOST_ITEMS]
    lost = [path for path in sorted(paths) if some and not any(present(item, path.split(".")) for item in some)]
    there = dict[str, None]()
    for item in some if lost else ():
        there |= dict.fromkeys(names(item))
        if len(there) > MOST_NAMES:
            break
    return [(path, next(iter(get_close_matches(path, there, n=1, cutoff=0.6)), "")) for path in lost]


def present(item: Json, parts: Sequence[str]) -> bool:
    """Whether an item has something at a path, were it null."""
    if lookup(item, parts) not in (None, []):
        return True
    parent = lookup(item, parts[:-1])
    return any(
        isinstance(each, dict) and parts[-1] in each for each in (parent if isinstance(parent, list) else [parent])
    )


def names(item: Json, before: str = "", depth: int = DEEPEST) -> Iterator[str]:
    """The paths of an item, as far as their names may be shown."""
    if isinstance(item, list) and depth:
        for element in item[:20]:
            yield from names(element, before, depth - 1)
            if isinstance(element, dict):  # it may be looked up by its name
                yield from (before + str(element[name]) for name in NAMES if shown(element.get(name)))
    if not isinstance(item, dict) or not depth:
        return
    for name, value in item.items():
        if shown(name):
            yield before + name
            yield from names(value, f"{before}{name}.", depth - 1)


def shown(name: Json) -> bool:
    """Whether a name may be shown: it is no address, and no secret."""
    text = str(name) if isinstance(name, str | int) else ""
    return text.isprintable() and 0 < len(text) <= LONGEST and "@" not in text.removeprefix("@")
