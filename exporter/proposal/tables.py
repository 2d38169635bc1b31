"""The tables of usual names and words (names.yaml, words.yaml), and how names are compared with them."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from exporter.base import strict_yaml
from exporter.records import RECORDS
from exporter.records.columns import COLUMNS

HERE = Path(__file__).parent
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
NO_WORD = re.compile(r"[^a-z0-9#]+")
IN_BRACKETS = re.compile(r"[(\[].*[)\]]")


class Name(NamedTuple):
    """A usual name of a column of ours."""

    column: str
    rank: int  # the lower, the surer
    guess: bool = False  # it may as well mean something else
    opposite: bool = False  # of yes and no
    word: str = ""  # a yes-or-no column whose yes means this word


def plain(text: str) -> str:
    """A name or word as it is compared: without case, accents and signs."""
    text = unicodedata.normalize("NFKD", CAMEL.sub(" ", text.replace("ß", "ss")))
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    return NO_WORD.sub(" ", text.casefold()).strip()


def parted(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


@cache
def _document(name: str) -> Mapping[str, Any]:
    data: Mapping[str, Any] = strict_yaml.shipped(HERE / name).data
    return data


@cache
def names(record: str) -> Mapping[str, Sequence[Name]]:
    """A name as it is compared -> the columns that it may stand over."""
    found: dict[str, list[Name]] = {}
    for column in columns(record):
        for rank, name in enumerate(usual(record, column)):
            text, _, word = name.partition("=")
            form = plain(text.rstrip("?!"))
            entry = Name(column, rank, text.endswith("?"), text.endswith("!"), word)
            if all(each.column != column for each in found.setdefault(form, [])):
                found[form].append(entry)
    return found


def usual(record: str, column: str) -> list[str]:
    """The names of a column, the surest first."""
    tables, own = _document("names.yaml"), plain(column.removesuffix("_at"))
    listed = [name.strip('"') for part in (record, "any") for name in parted(tables[part].get(column, ""))]
    return listed if own in listed else [own, *listed]


def columns(record: str) -> list[str]:
    """The columns of a record, those of the table first: they take what they need before the others."""
    listed = ["id", *_document("names.yaml")[record], *_document("names.yaml")["any"]]
    return [*dict.fromkeys([*listed, *(name for name in COLUMNS[RECORDS[record]] if name != "source")])]


def forms(name: str) -> Iterator[str]:
    """The ways in which a name may be in the table, the whole name first."""
    whole = plain(name)
    without = plain(IN_BRACKETS.sub(" ", name))
    for form in dict.fromkeys([whole, without]):
        yield from _shorter(form)
    for form in dict.fromkeys([whole, without]):
        yield from _shorter(_timeless(form))


def inner_forms(name: str) -> Iterator[str]:
    """The same for the last parts of a nested name such as deployment.service.name."""
    parts = name.split(".")
    for begin in range(1, len(parts)):
        yield from forms(".".join(parts[begin:]))


def _timeless(form: str) -> str:
    return " ".join(word for word in form.split() if word not in _set("times"))


def stem(name: str) -> str:
    """The name of a column without what says that it holds a time, or that it is of a record."""
    found = [*_shorter(_timeless(plain(name)))]
    return found[-1] if found else ""


def _shorter(form: str) -> Iterator[str]:
    if form:
        yield form
    for noun in _set("nouns"):
        if form.startswith(f"{noun} "):
            yield form.removeprefix(f"{noun} ")


@cache
def _set(key: str) -> Mapping[str, None]:
    return dict.fromkeys(map(plain, parted(_document("words.yaml")[key])))


@cache
def words(column: str) -> Mapping[str, str]:
    """Of a column such as request.outcome: a usual word as it is compared -> ours."""
    table = _document("words.yaml").get(column, {})
    return {plain(word.strip('"')): ours for ours, text in table.items() for word in parted(text)}


def meant(column: str, word: str) -> str | None:
    """Ours for a word of theirs; None where nobody knows."""
    known, form = words(column), plain(word)
    return known.get(form) or known.get(re.sub(r"^\d+\s+", "", form))


def is_nothing(value: Any) -> bool:
    """Whether a value is a usual word for nothing."""
    return isinstance(value, str) and value.lower() in _nothing()


@cache
def _nothing() -> frozenset[str]:
    return frozenset(word.lower() for word in parted(_document("words.yaml")["nothing"]))


def is_length_name(name: str) -> bool:
    """Whether a column is called as one with lengths of time is."""
    return plain(name) in _set("lengths")


@cache
def hints(record: str) -> frozenset[str]:
    return frozenset(parted(_document("names.yaml")["hints"].get(record, "")))


def unit(name: str) -> str | None:
    """The unit that the name of a column ends with, or has in brackets."""
    text = plain(name).split()
    table = {word: key for key, words in _document("words.yaml")["units"].items() for word in parted(words)}
    return table.get(text[-1]) if len(text) > 1 else None


def zone(found: Sequence[str]) -> tuple[str, int]:
    """The time zone of the language that most names are in, and how many are."""
    forms_found = {plain(name) for name in found}
    timeless = set(map(_timeless, forms_found))
    counts = {
        zone: len((forms_found | timeless) & set(map(plain, parted(words))))
        for zone, words in _document("words.yaml")["zones"].items()
    }
    best = max(counts, key=lambda zone: counts[zone])
    return best, counts[best]
