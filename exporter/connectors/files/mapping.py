"""The meaning of the columns of a file: turns a row into a record, and keeps the row for the mapping."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple

from exporter.collect.lookup import lookup
from exporter.collect.mapping import faults_of, meant
from exporter.connectors.files.discovery import Broken
from exporter.connectors.files.rows import Row
from exporter.records import Read, Record
from exporter.records.columns import COLUMNS, FROM, LATER, Column, Meaning
from exporter.records.notation import Length, Notation
from exporter.records.unreadable import Unreadable, quoted, value

OTHERS = "*"  # in `columns`: all that are not named
PASSED = ""  # what a column is that nobody reads
PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")  # needs no quotes in YAML,
WORDS_OF_YAML = re.compile("y|n|yes|no|on|off|true|false|null", re.IGNORECASE)  # unless it is one of these
LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Target(Meaning):
    """What a column of theirs means, where its name alone does not tell: under its name with `to`, the column of ours;
    or, as in `fields`, under the name of ours with `from`, the column of theirs."""

    from_: Annotated[str, FROM] = field(default="", metadata=LATER)
    to: str = PASSED
    repeated: Literal["first", "last"] | None = None  # of several columns of that name, which counts
    time_of_day: str | None = field(default=None, metadata=LATER)  # the column with the time, where this has the date


def target_of(given: "str | Target") -> Target:
    return given if isinstance(given, Target) else Target(to=given)


def turned(name: str, given: "str | Target") -> "tuple[str, str | Target]":
    """The name of a column of theirs, and what it means, whichever way round it is written."""
    if isinstance(given, Target) and given.from_:
        return given.from_, replace(given, from_="", to=name)
    return name, given


def faults(columns: "Mapping[str, str | Target]", record: type[Record]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with `columns`: the keys that lead to it, and words."""
    known = {name: column for name, column in COLUMNS[record].items() if name != "source"}
    seen = set[str]()
    for name, written in columns.items():
        theirs, given = turned(name, written)
        target = target_of(given)
        at = (name, "to") if isinstance(written, Target) and not written.from_ else (name,)
        if isinstance(written, Target) and written.from_ and written.to:
            yield at, "from and to are both given; keep one: to under a name in the file, from under a column"
        elif theirs in seen:
            yield at, f"{named(theirs)} is read twice; read it again under fields: {name}: {{ from: {key_of(theirs)} }}"
        elif theirs == OTHERS and given != PASSED:
            yield (
                at,
                f'"{OTHERS}" stands for all columns not named here, which can only be ignored; write "{OTHERS}": ""',
            )
        elif isinstance(given, Target) and not given.to:
            yield at, 'this does not say which column it fills; write to: ..., or only "" to ignore it'
        elif target.to and target.to not in known:
            back = f"; write the name in the file first: {target.to}: {theirs}" if theirs in known else ""
            near = get_close_matches(target.to, known, n=1, cutoff=0.7)
            advice = f"did you mean {near[0]!r}? All columns: " if near and not back else "known: "
            yield at, f"there is no column {target.to!r}{back}; {advice}{', '.join(known)}"
        elif target.to:
            if target.time_of_day is not None and known[target.to].kind != "instant":
                yield (name, "time_of_day"), f"{target.to} is not a time"
            for keys, message in faults_of(target, known[target.to]):
                yield (name, *keys), message
        seen.add(theirs)


class Filled(NamedTuple):
    """What fills a column of ours."""

    ours: str
    read: Callable[[Any], Any]
    nothing: Callable[[Any], bool] | None  # whether a value stands for nothing


class Reading(NamedTuple):
    """What a file's columns mean."""

    record: type[Record]
    columns: Mapping[str, Filled]  # by their names
    others: bool  # whether unknown columns are passed over
    zoneless: Collection[str]  # times, as they name them, that need an offset of their own
    single: Collection[str]  # names that may stand over one column only
    times_of_day: Mapping[str, str]  # column with a date -> the one with its time of day
    nested: Mapping[str, Sequence[str]]  # names with dots -> their parts: where they may be within others, in JSON
    id_columns: Sequence[str]  # whose values together make the id
    defaults: Mapping[str, Any]  # ours -> where a row says nothing
    blank: Mapping[str, Any]  # every column of the record, as it is when nothing is said
    setters: Sequence[Callable[[Record, Any], None]]

    def made(self, found: Mapping[str, Any]) -> Record:
        """A record, slot by slot: calling the dataclass would be a third of the time spent on a row."""
        record = object.__new__(self.record)
        for setter, each in zip(self.setters, {**self.blank, **found}.values(), strict=True):
            setter(record, each)
        return record

    def check(self, given: Collection[str], where: str) -> None:
        """Names that nobody knows are a mistake of the whole file: a figure would silently be missing."""
        around = {parts[0] for parts in self.nested.values()}
        unknown = [name for name in dict.fromkeys(given) if name and name not in self.columns and name not in around]
        if unknown and not self.others:
            raise Broken(f"{where}: {unknown_columns(unknown, self.columns, self.record)}")

    def called(self, ours: str) -> Collection[str]:
        """What they call a column of ours; "" is for those passed over."""
        return {theirs for theirs, target in self.columns.items() if target.ours == ours}


def meaning(
    columns: "Mapping[str, str | Target]", record: type[Record], notation: Notation, id_columns: Sequence[str] = ()
) -> Reading:
    """What columns mean, as the config says it."""
    columns = dict(turned(*each) for each in columns.items())
    ours = {name: column for name, column in COLUMNS[record].items() if name != "source"}
    targets = {name: Target(to=name) for name in ours} | {name: target_of(given) for name, given in columns.items()}
    targets.pop(OTHERS, None)
    times_of_day = {theirs: target.time_of_day for theirs, target in targets.items() if target.time_of_day}
    targets = dict.fromkeys((*times_of_day.values(), *id_columns), Target()) | targets
    used = {theirs: target for theirs, target in targets.items() if target.to}
    written = {theirs: notation.over(target) for theirs, target in used.items()}
    blank = {each.name: None if each.default is MISSING else each.default for each in fields(record)}
    return Reading(
        record=record,
        columns={
            theirs: Filled(
                target.to,
                reader(target, ours[target.to], written[theirs]),
                written[theirs].is_null if written[theirs].nulls else None,
            )
            if target.to
            else Filled(PASSED, str, None)
            for theirs, target in targets.items()
        },
        others=columns.get(OTHERS) == PASSED,
        zoneless=[
            theirs
            for theirs, target in used.items()
            if ours[target.to].kind == "instant" and written[theirs].time_zone is None
        ],
        single={
            theirs for theirs, target in used.items() if target.repeated is None and ours[target.to].kind != "texts"
        },
        times_of_day=times_of_day,
        nested={theirs: theirs.split(".") for theirs in targets if "." in theirs},
        id_columns=id_columns,
        defaults={
            target.to: ours[target.to].read(target.default) for target in used.values() if target.default is not None
        },
        blank=blank,
        setters=[getattr(record, name).__set__ for name in blank],
    )


def reader(target: Target, column: Column, notation: Notation) -> Callable[[Any], Any]:
    """What reads a value of a column; several texts in a cell are parted by semicolons."""
    plain = not (target.map or target.match or target.scale or target.unit)
    read = column.reader(notation) if plain else meant(target, column, notation)
    if column.kind == "texts":
        return lambda given: read(given.split(";") if isinstance(given, str) else given)
    if target.repeated is None:
        return read
    which = 0 if target.repeated == "first" else -1

    def of_several(given: Any) -> Any:
        filled = [each for each in given if each and not notation.is_null(each)] if isinstance(given, list) else [given]
        return read(filled[which]) if filled else None

    return of_several


def place(name: str, row: Row) -> str:
    return f"{name}:{row.line}"


def read(reading: Reading, empty_is_none: bool, row: Row) -> Read:
    """A row as a record, beside the row as it was given."""
    if row.fault:
        raise Unreadable("broken_row", row.fault)
    found: dict[str, Any] = {}
    columns, values = reading.columns, row.values
    if reading.nested and not empty_is_none:
        values = {**{name: lookup(values, parts) for name, parts in reading.nested.items()}, **values}
    if reading.times_of_day:
        values = {**values, **{day: dated(values, day, clock) for day, clock in reading.times_of_day.items()}}
    for theirs, given in values.items():
        if theirs not in columns:
            continue  # passed over, or it would have been refused
        ours, of_column, nothing = columns[theirs]
        if ours and given is not None and not (empty_is_none and given == "") and not (nothing and nothing(given)):
            found[ours] = value(ours, of_column, given, theirs)
    if reading.id_columns:
        found["id"] = made_id(values, reading.id_columns)
    if "id" not in found:
        told = " or ".join(sorted(reading.called("id") & values.keys())) or "id"
        raise Unreadable("missing", f"there is no id in {told}" if told != "id" else "there is no id", "id")
    if reading.defaults:
        found = {**reading.defaults, **found}
    return Read(reading.made(found), row.values)


def made_id(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """An id made of several values; which they are, it does not tell. Raises Unreadable where one is not there."""
    if absent := [name for name in columns if name not in row]:
        raise Unreadable("missing", f"there is no {named(absent[0])}, which id_columns names", "id")
    values = ["" if row[name] is None else str(row[name]).strip() for name in columns]
    if not any(values):
        raise Unreadable("missing", f"there is nothing in {' or '.join(map(named, columns))}", "id")
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=12).hexdigest()


def dated(row: Mapping[str, Any], day: str, clock: str) -> Any:
    """A date with the time of day that another column has; without one it stays a date."""
    date, time = row.get(day), row.get(clock)
    if date in (None, "") or time in (None, ""):
        return date
    if isinstance(date, datetime):
        return date + timedelta(seconds=time) if isinstance(time, Length) else f"{date:%Y-%m-%d} {time}"
    return f"{date} {timedelta(seconds=time) if isinstance(time, Length) else time}"


def unknown_columns(unknown: Sequence[str], known: Collection[str], record: type[Record]) -> str:
    """All of them, with the nearest words, and what to write."""
    names = [name for name in COLUMNS[record] if name != "source"]
    near = {name: nearest(name, names) for name in unknown}
    told = ", ".join(f"{named(name)}" + (f" (nearest: {near[name]})" if near[name] else "") for name in unknown)
    block = ", ".join(f"{key_of(name)}: {near[name] or json.dumps('')}" for name in unknown if safe(name))
    count = "unknown column" if len(unknown) == 1 else f"{len(unknown)} unknown columns:"
    passed = ' or add "*": "" to ignore all that are not named'
    return (
        f'{count} {told}; write what each fills, or "" to ignore it (fields and segments can still read it): '
        f"columns: {{ {block} }};{passed}; known: {', '.join(known)}"
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """The column of ours whose name is most like one of theirs; empty where none is."""
    word = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()).strip("_")
    by_form = {form: ours for ours in known for form in (ours.removesuffix("_at"), ours)}
    found = get_close_matches(word, by_form, n=1, cutoff=0.75)
    return by_form[found[0]] if found else ""


def safe(name: str) -> bool:
    """Whether the name of a column may be shown: a file without a header has somebody's data there."""
    return name.isprintable() and len(name) <= LONGEST_NAME and "@" not in name


def named(name: str) -> str:
    return repr(name) if safe(name) else quoted(name)


def key_of(name: str) -> str:
    """A name as a key of YAML."""
    plain = PLAIN_WORD.fullmatch(name) and not WORDS_OF_YAML.fullmatch(name)
    return name if plain else json.dumps(name, ensure_ascii=False)
