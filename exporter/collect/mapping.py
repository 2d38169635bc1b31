"""Fills segment and other columns from the platform's item as the config maps them; cleans labels, hashes persons.

A mapping is compiled once per source; `apply` then runs for every record. Unknown is None.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import islice
from operator import attrgetter, is_
from typing import Annotated, Any, TypeVar

from exporter.catalogue.regex import Pattern, compile_pattern, fits, matched, pattern_fault
from exporter.collect.lookup import lookup, scalars
from exporter.collect.path import fields_of, path, path_fault
from exporter.records import VITAL_COLUMNS, Json, Read, Record, marked, person_columns, record_name, times_of
from exporter.records.columns import (
    COLUMNS,
    FROM,
    LATER,
    Column,
    Meaning,
    Rule,
    Rules,
    Scalar,
    cleaned,
    in_seconds,
    without_percent,
)
from exporter.records.notation import PLAIN, Notation, notation_faults
from exporter.records.unreadable import Fault, LeftOut, Unreadable, attempt, place_of, quoted, value
from exporter.store.person import is_address, normal, without_address

UNMAPPED = frozenset({"id", "source", "url"})
"""Columns that only the connector fills."""

UNREAD: Any = object()

M = TypeVar("M", bound=Meaning)

Find = Callable[[Json], Any]


@dataclass(frozen=True, slots=True)
class Filler:
    """The compiled steps of `apply` for one record type. Numbers are positions among its columns."""

    make: Callable[..., Record]  # of the values of all columns
    values: Callable[[Record], tuple[Any, ...]]
    texts: tuple[tuple[int, str, Callable[[Any], Any]], ...]  # columns of any text; what makes it one
    columns: tuple[tuple[int, str, Callable[[Any], bool], Callable[[Any], Any]], ...]  # is it right, else make it so
    mapped: tuple[tuple[int, str, Find, str], ...]
    labels: tuple[int, ...]
    persons: tuple[int, ...]
    ids: tuple[int, ...]
    url: int
    paths: frozenset[str]  # where in an item it looks
    defaulted: tuple[tuple[str, Find], ...] = ()  # columns that have a default, and what finds a value without it


Fillers = Mapping[type[Record], Filler]


def compiled(rules: Rules, records: Iterable[type[Record]], notation: Notation = PLAIN) -> Fillers:
    """A checked mapping (see `faults`), ready for `apply`. A record without a mapped column passes that column over.

    A rule for `incident.severity` is for that type of record alone, before one for `severity`.
    `notation`: how the source writes, where a rule does not say.
    """
    return {record: _filler(rules, record, notation) for record in records}


def records(
    reads: Iterable[Read], mapping: Fillers, person: Callable[[str], str]
) -> tuple[list[Record], list[Read], list[LeftOut]]:
    """(records, the Read of each, everything that could not be read)."""
    mapped, of, left_out = [], [], []
    for read in reads:
        record, noted, broken = attempt(lambda read: apply(read, mapping, person), read)
        faults = (*read.faults, *noted)
        if record is not None and read.faults:  # what the config fills needs no word of the connector's
            faults = (*(each for each in read.faults if getattr(record, each.column, None) in (None, ())), *noted)
        lost = broken or record is None or costs(record, faults)
        if record is not None and not lost:
            mapped.append(record)
            of.append(read)
        if faults:
            kind = type(read.record)
            place = read.place or ("" if "person" in person_columns(kind) else place_of(read.item, read.record.id))
            left_out.append(
                LeftOut(read.key, place, faults, whole=lost, scope=read.scope, item=read.item, kind=kind,
                        team=read.record.team, times=times_of(read.record if record is None else record))
            )  # fmt: skip
    return mapped, of, left_out


def costs(record: Record, faults: Sequence[Fault]) -> bool:
    """Whether faults cost the record itself."""
    return bool(faults) and any(each.column in VITAL_COLUMNS[type(record)] for each in faults)


def team(left_out: LeftOut, mapping: Fillers) -> str | None:
    """The team of an item that gave no record, if the mapping or the item itself tells."""
    filler = mapping.get(left_out.kind or next(iter(mapping), Record))
    finders = (find for _, name, find, _ in filler.mapped if name == "team") if filler else ()
    found = next((attempt(find, left_out.item)[0] for find in finders), None)
    found = left_out.team if found is None else found
    return cleaned(found) if isinstance(found, str) else None


def apply(read: Read, mapping: Fillers, person: Callable[[str], str]) -> Record:
    """The record with its mapped columns filled, its labels cleaned and its persons hashed by `person`.

    A value that cannot be read, or that no column of its kind can hold, is unknown, and noted (see `unreadable`).
    """
    filler = mapping[type(read.record)]
    before = filler.values(read.record)
    values = list(before)
    for position, name, find, called in filler.mapped:
        found = value(name, find, read.item, called, failed=UNREAD)
        if found is not None:
            values[position] = None if found is UNREAD else found
    for position, name, mend in filler.texts:
        given = values[position]
        if given is not None and type(given) is not str:
            values[position] = value(name, mend, given)
    for position, name, right, mend in filler.columns:
        given = values[position]
        if given is not None and not right(given):
            values[position] = value(name, mend, given)
    for position in filler.labels:
        text = values[position]
        if text is not None and not (text.isprintable() and 0 < len(text) <= 100 and text[0] != " " != text[-1]):
            values[position] = cleaned(text)
    for position in filler.persons:
        if values[position] is not None:
            values[position] = _hashed(values[position], person)
    for position in filler.ids:
        text = values[position]
        if text is not None and "@" in text and is_address(text):
            values[position] = _hashed(text, person)
            values[filler.url] = without_address(values[filler.url], text)
    return read.record if all(map(is_, values, before)) else filler.make(*values)


def defaulted(read: Read, mapping: Fillers) -> frozenset[str]:
    """The columns of an item that the config fills with a default, because the item says nothing of them."""
    finds = mapping[type(read.record)].defaulted
    return frozenset(name for name, find in finds if attempt(find, read.item) == (None, (), False))


def id_of(text: str, person: Callable[[str], str]) -> str:
    """An id as `apply` stores it."""
    return (is_address(text) and _hashed(text, person)) or text


def _hashed(name: str, person: Callable[[str], str]) -> str | None:
    name = normal(name)
    return person(name) if name else None


@dataclass(frozen=True, kw_only=True)
class Which:
    """Selects items, as an option of a connector: those whose text at `field` matches as a whole.

    `from` is another name of `field`, as in a rule.
    """

    from_: Annotated[str, FROM] = field(default="", metadata=LATER)
    field: str = ""  # a dotted path
    match: str = r"(?s:.+)"

    def __post_init__(self) -> None:
        if self.from_ and self.field:
            raise ValueError("from and field are both given, and mean the same; keep one")
        object.__setattr__(self, "field", self.field or self.from_)
        object.__setattr__(self, "from_", "")
        if not self.field:
            raise ValueError("from is missing; write where in an item to look, like fields.issuetype.name")
        if fault := "an empty path" if not all(self.field.split(".")) else pattern_fault(self.match):
            raise ValueError(fault)

    def __str__(self) -> str:
        return f'{{ from: {self.field}, match: "{self.match}" }}'

    @cached_property
    def holds(self) -> Callable[[Json], bool]:
        """Whether it selects an item."""
        parts, pattern = self.field.split("."), compile_pattern(self.match)

        def holds(item: Json) -> bool:
            texts = (str(each).strip() for each in scalars(lookup(item, parts)))
            return any(fits(pattern, text) for text in texts)

        return holds


def faults(rule: Rule, column: Column) -> Iterator[tuple[tuple[str, ...], str]]:
    """Mistakes in a rule for a column: (keys that lead to it, message)."""
    given = [key for key in ("from_", "field", "query", "value") if getattr(rule, key) is not None]
    if rule.from_ is not None:
        yield ("from",), "from and field are both given, and mean the same; keep one"
    elif len(given) != 1:
        yield (
            (),
            "give one of from (a path in the platform's item), query (a JMESPath expression) and value (a constant)",
        )
    if rule.field is not None and not all(rule.field.split(".")):
        yield ("field",), "part of this path is empty; write it like CustomFields.Team"
    if rule.query is not None and (fault := path_fault(rule.query)):
        yield ("query",), fault
    yield from faults_of(rule, column, [(("value",), rule.value)])


def faults_of(
    rule: Meaning, column: Column, constants: Sequence[tuple[tuple[str, ...], Scalar | None]] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Mistakes in how a value is to be interpreted: (keys that lead to it, message)."""
    yield from notation_faults(rule)
    if rule.match is not None and (fault := pattern_fault(rule.match)):
        yield ("match",), fault
    if (rule.scale or rule.unit) and column.kind not in ("number", "integer", "instant"):
        yield ("scale" if rule.scale else "unit",), f"{column.name} is not a number"
    elif rule.scale and (rule.scale[0] == rule.scale[1] or column.high == float("inf")):
        yield ("scale",), "write the scale from the worst to the best value, and only for csat, effort and sentiment"
    if rule.otherwise is not None and not rule.map:
        yield (
            ("otherwise",),
            "otherwise is for words that are not in map, but there is no map; add a map, or write default",
        )
    seen = dict[str, str]()
    for word, ours in rule.map.items():
        first = seen.setdefault(_word(word), word)
        if rule.map[first] != ours:
            yield ("map", word), f"this word is twice in the map, with two meanings; {first} and {word} are one word"
    for keys, constant in (
        *constants,
        (("default",), rule.default),
        (("otherwise",), rule.otherwise),
        *((("map", word), ours) for word, ours in rule.map.items()),
    ):
        if constant is not None:
            try:
                column.read(constant)
            except Unreadable:
                yield keys, f"{column.name} cannot have this value; it is {column.holds}"


def _filler(rules: Rules, record: type[Record], notation: Notation) -> Filler:
    names = [each.name for each in fields(record)]
    known, mine = COLUMNS[record], _of_record(rules, record)
    checked = [(names.index(name), column) for name, column in known.items() if name != "source"]
    return Filler(
        make=record,
        values=attrgetter(*names),
        texts=tuple((place, column.name, column.read) for place, column in checked if column.any_text),
        columns=tuple(
            (place, column.name, column.holds_it, column.read) for place, column in checked if not column.any_text
        ),
        mapped=tuple(
            (names.index(name), name, _read(alternatives, known[name], notation), called(alternatives))
            for name, alternatives in mine.items()
        ),
        labels=tuple(names.index(name) for name in record.LABELS),
        persons=tuple(names.index(name) for name in person_columns(record)),
        ids=tuple(names.index(name) for name in marked(record, "id")),
        url=names.index("url"),
        paths=frozenset[str]().union(*(paths(rule) for alternatives in mine.values() for rule in alternatives)),
        defaulted=tuple(
            (name, _read([replace(rule, default=None) for rule in alternatives], known[name], notation))
            for name, alternatives in mine.items()
            if any(rule.default is not None for rule in alternatives)
        ),
    )


def _of_record(rules: Mapping[str, Sequence[M]], record: type[Record]) -> dict[str, Sequence[M]]:
    """The rules of the columns of one type of record."""
    own = f"{record_name(record)}."
    mine = {name: alternatives for name, alternatives in rules.items() if name in COLUMNS[record]}
    return mine | {name.removeprefix(own): alternatives for name, alternatives in rules.items() if name.startswith(own)}


def labelled(rules: Mapping[str, Sequence[Meaning]], record: type[Record]) -> Mapping[str, frozenset[str] | None]:
    """Label that the config fills -> the words that it may become by a map; None where any word may stay as it is.

    Where a label has words of its own, `otherwise` gives one that is meant: "human" for whoever is no bot of a map.
    """
    mine, columns = _of_record(rules, record), COLUMNS[record]
    return {name: _meant_words(mine[name], columns[name].words - {"other"}) for name in record.LABELS if name in mine}


def _meant_words(rules: Sequence[Meaning], own: frozenset[str]) -> frozenset[str] | None:
    constants = [getattr(rule, "value", None) for rule in rules]
    if any(constant is None and not rule.map for rule, constant in zip(rules, constants, strict=True)):
        return None
    words = [*constants, *(rule.default for rule in rules), *(each for rule in rules for each in rule.map.values())]
    return own.union(cleaned(str(word)) or "" for word in words if word is not None)


def paths(rule: Rule) -> frozenset[str]:
    """Where in an item a rule looks: dotted paths."""
    return fields_of(rule.query) if rule.query else frozenset({rule.field} if rule.field else ())


def called(rules: Sequence[Rule]) -> str:
    """The source's name of a column: what is looked up first."""
    return next((where for rule in rules if (where := rule.field or rule.query)), "")


def _read(rules: Sequence[Rule], column: Column, notation: Notation) -> Find:
    """A function that applies rules until one finds a value, converted to the column."""
    finds = [finder(rule, column, notation) for rule in rules]

    def find(item: Json) -> Any:
        for each in finds:
            value = each(item)
            if value is not None:
                return value
        return None

    return find


def finder(rule: Rule, column: Column, notation: Notation) -> Find:
    """A function that applies one rule to an item; the value is converted to the column."""
    if rule.field is None and rule.query is None:
        constant = column.read(rule.value)
        return lambda _: constant
    read, found = meant(rule, column, notation.over(rule)), rule_finds(rule)
    return lambda item: read(found(item))


def rule_finds(rule: Rule) -> Find:
    """A function that finds in an item what a rule is about, as it is there."""
    if rule.query is not None:
        return path(rule.query)
    parts = tuple((rule.field or "").split("."))
    return lambda item: lookup(item, parts)


def meant(rule: Meaning, column: Column, notation: Notation) -> Callable[[Any], Any]:
    """A function that converts whatever a rule found into a value of the column; None if it found nothing."""
    pattern = compile_pattern(rule.match) if rule.match else None
    nothing = notation.is_null if notation.nulls else None
    default = None if rule.default is None else column.read(rule.default)
    one, known = _one(rule, column, notation), _words(rule) if rule.otherwise is not None else frozenset[str]()
    most = 1 if column.kind == "text" and not known else None  # the first text counts

    def read(found: Any) -> Any:
        if type(found) is not str or pattern:
            several = list(islice(_fitting(scalars(found, nothing), pattern), most))
        else:
            several = [] if not found or found.isspace() or (nothing and nothing(found)) else [found]
        if not several:
            return default
        if column.kind == "texts":
            return tuple(text for each in several for text in one(each) or ())
        if len(several) == 1:
            return one(several[0])
        if known:  # `otherwise` is for where the map has none of them
            several = [each for each in several if _word(each) in known] or several
        return one(several[0]) if column.kind == "text" else _agreed([one(each) for each in several])

    return read


def _fitting(values: Iterator[Scalar], pattern: Pattern | None) -> Iterator[Scalar]:
    """The values, or what a pattern picks of them."""
    if pattern is None:
        return values
    texts = (matched(pattern, str(value).strip()) for value in values)
    return (text for text in texts if text and text.strip())


def _agreed(values: Sequence[Any]) -> Any:
    """The one value that several mean. Of numbers, times, and yes and no none is right because it is the first."""
    if any(each != values[0] for each in values):
        told = f"{len(values):,} values are there, and they differ; choose one, or as with query: sum(lines[].hours)"
        raise Unreadable("wrong_shape", told)
    return values[0]


def _words(rule: Meaning) -> frozenset[str]:
    """The words of a map, as they are compared."""
    return frozenset(map(_word, rule.map))


def _word(found: Scalar) -> str:
    """A value as it is compared with the words of a map: 2.0 is 2."""
    if type(found) is float and found.is_integer():
        found = int(found)
    return str(found).strip().lower()


def _one(rule: Meaning, column: Column, notation: Notation) -> Callable[[Scalar], Any]:
    """A function that converts one plain value: by `map`, `scale` or `unit`, or as it is written."""
    ours, theirs = column.read, column.reader(notation)
    if not rule.map and rule.scale is None and rule.unit is None:
        return theirs
    words = {_word(word): None if each is None else ours(each) for word, each in rule.map.items()}
    otherwise = None if rule.otherwise is None else ours(rule.otherwise)

    def read(found: Scalar) -> Any:
        word = _word(found)
        if word in words:
            return words[word]
        if otherwise is not None:
            return otherwise
        if rule.scale is not None:
            worst, best = rule.scale
            share = (notation.number(without_percent(found)) - worst) / (best - worst)  # 85 % of [0, 100]
            if not 0 <= share <= 1:
                raise Unreadable("out_of_bounds", f"{quoted(found)} is not between {worst:g} and {best:g}")
            return ours(column.low + share * (column.high - column.low))
        return ours(in_seconds(found, rule.unit, notation.number)) if rule.unit else theirs(found)

    return read
