"""Guesses which record the rows of a file are, and which column of it each of theirs fills."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from exporter.catalogue.kpi import catalogue
from exporter.proposal.numbers import is_length, is_number
from exporter.proposal.sample import Sample
from exporter.proposal.tables import Name, columns, forms, hints, inner_forms, is_nothing, meant, names, plain
from exporter.proposal.times import Times
from exporter.records import RECORDS, SEGMENTS, VITAL_COLUMNS, person_columns
from exporter.records.columns import COLUMNS, Column

SOME = 1_000  # values that tell whether a column can be what its name says
MOST = 0.8  # the share of them that must
VITAL_WEIGHT, WEIGHT, HINT_WEIGHT, MOST_HINTS = 3.0, 1.0, 2.0, 2
SURE = 1.25  # how much better than any other a record must fit, so that nobody is asked
KEY = re.compile(r"[\w./#-]*\d[\w./#-]*")
BEGINS = ("starts_at", "opened_at", "started_at", "requested_at", "booked_at", "lead_at", "deployed_at", "period_start")
WORDY = ("outcome", "status", "result")
"""Columns that several of theirs may fill together: the first that says something counts."""


class Match(NamedTuple):
    """A column of theirs that fills one of ours."""

    theirs: str
    name: Name

    @property
    def surest(self) -> tuple[bool, int]:
        return self.name.guess, self.name.rank


@dataclass(frozen=True)
class Fit:
    """A record, and what of a file fills its columns."""

    record: str
    of: Mapping[str, Sequence[Match]]  # column of ours -> theirs, the surest first; several only of WORDY
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)  # column of ours -> others that it may be
    weight: float = 0.0

    @property
    def taken(self) -> set[str]:
        return {match.theirs for matches in self.of.values() for match in matches}

    @property
    def placed(self) -> bool:
        """Whether there is anything that says when a row was, or how it ended."""
        return not (VITAL_COLUMNS[RECORDS[self.record]] - {"id"}).isdisjoint(self.of)


def fits(sample: Sample, times: Times) -> list[Fit]:
    """Every record as far as a file fits it, the best first."""
    found = [fit(sample, times, record) for record in RECORDS]
    return sorted(found, key=lambda each: -each.weight)


def sure(found: Sequence[Fit]) -> bool:
    """Whether the best is much better than the others."""
    return found[0].placed and found[0].weight >= SURE * found[1].weight


def fit(sample: Sample, times: Times, record: str) -> Fit:
    """What fills the columns of one record. A column of theirs fills one of ours only."""
    candidates = _candidates(sample, times, record)
    of: dict[str, Sequence[Match]] = {}
    others: dict[str, Sequence[str]] = {}
    taken: set[str] = set()
    for column in columns(record):
        free = sorted((each for each in candidates.get(column, ()) if each.theirs not in taken), key=lambda m: m.surest)
        free = _without_guesses(free)
        if column == "id":
            free = _ids(sample, free)
        if free:
            of[column] = free if column in WORDY else free[:1]
            others[column] = [each.theirs for each in free[len(of[column]) :]]
            taken |= {each.theirs for each in of[column]}
    if "id" not in of and (found := _any_id(sample, times, taken)):
        of = {"id": [found], **of}
    return Fit(record, of, {key: each for key, each in others.items() if each}, _weight(sample, record, of))


def _without_guesses(found: Sequence[Match]) -> list[Match]:
    """Those that are sure, where there are any."""
    return [each for each in found if not each.name.guess] or list(found)


def _candidates(sample: Sample, times: Times, record: str) -> dict[str, list[Match]]:
    known, found = names(record), dict[str, list[Match]]()
    for theirs in sample.names:
        whole = [
            each._replace(rank=each.rank + 3 * depth)
            for depth, form in enumerate(forms(theirs))
            for each in known.get(form, ())
        ]
        parts = [
            each._replace(guess=True)
            for form in inner_forms(theirs)
            for each in known.get(form, ())
            if _tells_alone(record, each.column)
        ]
        for each in [*whole, *parts]:
            matches = found.setdefault(each.column, [])
            if all(match.theirs != theirs for match in matches) and can_be(sample, times, theirs, record, each):
                matches.append(Match(theirs, each))
    return found


def _tells_alone(record: str, column: str) -> bool:
    """Whether the last part of a nested name tells enough: the id or type of a deployment may be one of its author."""
    return column in SEGMENTS or column == "service" or COLUMNS[RECORDS[record]][column].kind == "instant"


def can_be(sample: Sample, times: Times, theirs: str, record: str, name: Name) -> bool:
    """Whether the values of a column are such as its name says."""
    column = COLUMNS[RECORDS[record]][name.column]
    values = [each for each in islice(sample.values(theirs), SOME) if not is_nothing(each)]
    if not values:
        return not name.guess
    if column.kind == "instant":
        return theirs in times.of
    if column.kind in ("number", "integer") or name.column == "csat":
        return _share(values, lambda value: _numeric(column, record, value)) >= MOST
    if name.word or column.kind == "boolean":
        return _share(values, lambda value: yes_or_no(f"{record}.{name.column}", value) is not None) >= MOST
    if column.words:
        return _share(values, lambda value: word_of(record, column, value) is not None) > 0
    return not times.holds(theirs)


def _numeric(column: Column, record: str, value: Any) -> bool:
    """Whether a value may be a number of this column, or a word for one."""
    if is_number(value) or meant(f"{record}.{column.name}", str(value)) is not None:
        return True
    return column.name.endswith("_seconds") and is_length(value)


def yes_or_no(column: str, value: Any) -> str | None:
    """What a value of a yes-or-no column means: true or false; None where nobody knows."""
    return meant("truths", str(value)) or meant(column, str(value))


def word_of(record: str, column: Column, value: Any) -> str | None:
    """Our word for one of theirs."""
    form = plain(str(value)).replace(" ", "_")
    return meant(f"{record}.{column.name}", str(value)) or (form if form in column.words else None)


def _share(values: Sequence[Any], holds: Callable[[Any], bool]) -> float:
    return sum(map(holds, values)) / len(values)


def _ids(sample: Sample, found: Sequence[Match]) -> list[Match]:
    """Those in which each row has a value of its own come first."""
    return sorted(found, key=lambda each: (repeats(sample, [each.theirs]) > 0, each.surest))


def repeats(sample: Sample, names: Sequence[str]) -> int:
    """How many rows have nothing in some columns, or what an earlier row has in them."""
    found = {
        values for row in sample.rows if any(values := tuple(str(sample.first(row, name) or "") for name in names))
    }
    return len(sample.rows) - len(found)


def identifying_columns(sample: Sample, fit: Fit) -> list[str]:
    """Columns that together identify a row, if none holds an id: where rows begin, and then what changes the least."""
    kind = RECORDS[fit.record]
    persons, filled = person_columns(kind), {column: matches[0].theirs for column, matches in fit.of.items()}
    begins = [filled[column] for column in BEGINS if column in filled]
    labels = [filled[column] for column in kind.LABELS if column in filled]
    used = {*filled.values(), *sample.times_of_day.values()}
    others = [name for name in sample.names if name not in used]
    chosen: list[str] = []
    for name in dict.fromkeys([*begins[:1], *labels, *others, *(filled[each] for each in persons if each in filled)]):
        more = [*chosen, name, *([sample.times_of_day[name]] if name in sample.times_of_day else [])]
        if repeats(sample, more) < (repeats(sample, chosen) if chosen else len(sample.rows)):
            chosen = more
        if chosen and not repeats(sample, chosen):
            break
    return chosen


def _any_id(sample: Sample, times: Times, taken: set[str]) -> Match | None:
    """The first column with a word of its own in each row."""
    for theirs in sample.names:
        if theirs not in taken and theirs not in times.of and _is_key(sample, theirs):
            return Match(theirs, Name("id", 0, guess=True))
    return None


def _is_key(sample: Sample, name: str) -> bool:
    """Whether the values of a column look like ids, and there is one for each row."""
    values = [str(value) for value in sample.values(name)]
    return not repeats(sample, [name]) and all(KEY.fullmatch(value) for value in values)


def _weight(sample: Sample, record: str, of: Mapping[str, Sequence[Match]]) -> float:
    kind = RECORDS[record]
    filled = {column: matches[0] for column, matches in of.items() if column != "id"}
    points = sum(
        (VITAL_WEIGHT if column in VITAL_COLUMNS[kind] else WEIGHT) / (2 if match.name.guess else 1)
        for column, match in filled.items()
    )
    said = set(_words(sample)) & hints(record)
    enough = any(column in VITAL_COLUMNS[kind] for column in filled)
    return points + HINT_WEIGHT * min(len(said), MOST_HINTS) if enough else points / 2


def _words(sample: Sample) -> Iterator[str]:
    for text in (re.sub(r"\..*", "", sample.path.name), *sample.names):
        yield from plain(text).split()


def missing(record: str, of: Collection[str]) -> list[str]:
    """Columns that KPIs need and that nothing fills: first those that place a row, then those that most KPIs need."""
    found: Counter[str] = Counter()
    for each in catalogue().values():
        if record in each.needs:
            needed = {field.source_column for field in each.fields if field.record == record and not field.bases}
            found.update(needed | {column for column in (each.placed_by, each.value) if column})
    known, vital = COLUMNS[RECORDS[record]], VITAL_COLUMNS[RECORDS[record]] - {"id"}
    first = sorted(vital) if vital.isdisjoint(of) else []
    order = dict.fromkeys([*first, *(column for column, _ in found.most_common())])
    return [column for column in order if column in known and column not in of]
