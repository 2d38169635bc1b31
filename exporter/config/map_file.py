"""Reads the file that a rule names in `map_file`: a table or catalogue from which the words of `map` come."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from exporter.base import strict_yaml
from exporter.base.strict_yaml import At, Mistakes, did_you_mean
from exporter.collect.lookup import lookup
from exporter.config.shape import Checker
from exporter.records import Json
from exporter.records.columns import MapFile, Meaning, Scalar

LARGEST = 4 * 1024 * 1024
MOST_WORDS = 50_000
M = TypeVar("M", bound=Meaning)


class Unfit(ValueError):  # noqa: N818 - named by what is wrong
    """Why a file is no table, in words."""


class Told(Protocol):
    def __call__(self, at: At, message: str) -> None: ...


@dataclass(frozen=True)
class MapFiles:
    """Fills in the words of rules; each file is read once."""

    checker: Checker
    folder: Path  # of the config

    def filled(self, rule: M, at: At) -> M:
        """The rule with the words of its file in `map`, where those that stand in the config win."""
        if rule.map_file is None:
            return rule
        try:
            words = words_of(self.folder / rule.map_file.path, rule.map_file)
        except Unfit as error:
            self.checker.wrong((*at, "map_file"), f"{rule.map_file.path}: {error}")
            words = {}
        ours = {word.strip().lower() for word in rule.map}
        others = {word: each for word, each in words.items() if word.lower() not in ours}
        return replace(rule, map={**others, **rule.map}, map_file=None)


def words_of(path: Path, file: MapFile) -> Mapping[str, Scalar | None]:
    """Their word -> ours."""
    found: dict[str, Scalar | None] = {}
    same: dict[str, str] = {}  # in small letters -> as it is written first
    for word, ours in _csv(path, file) if path.suffix.lower() in (".csv", ".tsv") else _document(path, file):
        key = same.setdefault(word.strip().lower(), word.strip())
        if key in found and found[key] != ours:
            raise Unfit(f"{key!r} is there twice, as {found[key]!r} and {ours!r}; keep one")
        found[key] = ours
        if len(found) > MOST_WORDS:
            raise Unfit(f"more than {MOST_WORDS:,} words; name only what the platform uses")
    if not found:
        raise Unfit("there is no word in it")
    return found


Pairs = Iterator[tuple[str, Scalar | None]]


def _csv(path: Path, file: MapFile) -> Pairs:
    rows = csv.reader(_text(path).splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        key, value = (_position(header, name, place) for place, name in enumerate((file.key, file.value)))
        for row in rows:
            if len(row) > max(key, value) and row[key].strip():
                yield row[key], row[value].strip() or None
    except csv.Error as error:
        raise Unfit(f"line {rows.line_num}: {error}") from None


def _position(header: list[str], name: str | None, place: int) -> int:
    if name is None and len(header) == 2:
        return place
    if name is None:
        raise Unfit(f"name its columns in key and value; it has {', '.join(header) or 'none'}")
    if name not in header:
        raise Unfit(f"there is no column {name!r}; {did_you_mean(name, header)}")
    return header.index(name)


def _document(path: Path, file: MapFile) -> Pairs:
    try:
        data = strict_yaml.load(path).data
    except Mistakes as error:
        raise Unfit(str(error.mistakes[0]).removeprefix(f"{path}:").strip()) from None
    if isinstance(data, dict) and file.key is None and file.value is None:
        for word, ours in data.items():
            yield str(word), _scalar(ours, str(word))
    elif isinstance(data, list) and file.key is not None and file.value is not None:
        for item in data:
            word = lookup(item, file.key.split("."))
            for each in word if isinstance(word, list) else [word]:
                if each is not None:
                    yield str(_scalar(each, file.key)), _scalar(lookup(item, file.value.split(".")), file.value)
    elif isinstance(data, list):
        raise Unfit("it is a list; name in key and value the paths of the word and of its meaning, like metadata.name")
    else:
        raise Unfit("write word: meaning lines without key and value, or a list of entries with both")


def _scalar(found: Json, what: str) -> Scalar | None:
    if isinstance(found, dict | list):
        raise Unfit(f"{what} is not a single word")
    plain: Scalar | None = found
    return plain


def _text(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise Unfit(f"it cannot be read: {error.strerror or type(error).__name__}") from None
    if len(content) > LARGEST:
        raise Unfit(f"it is larger than {LARGEST // 1024 // 1024} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unfit("it is not UTF-8 text; save it as UTF-8") from None


def each_rule(columns: Mapping[str, Any], function: Callable[[Any, At], Any]) -> dict[str, Any]:
    """Columns with `function` applied to each rule, and to where it stands."""
    return {
        name: tuple(function(rule, (name, i)) for i, rule in enumerate(given))
        if isinstance(given, tuple)
        else function(given, (name,))
        if isinstance(given, Meaning)
        else given
        for name, given in columns.items()
    }
