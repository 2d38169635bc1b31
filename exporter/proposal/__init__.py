"""Proposes a config for a file that nobody has described: what a row is, what fills its columns, how it writes values.

A guess that changes values if it is wrong is a Guess: it is marked in the config that is written, and told.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from exporter.proposal.columns import Fit, fits, identifying_columns, missing, repeats, sure
from exporter.proposal.day import all_are, is_day, with_times_of_day
from exporter.proposal.numbers import Signs, is_number, signs_of
from exporter.proposal.sample import Sample, Unclear, sampled
from exporter.proposal.tables import is_length_name
from exporter.proposal.tables import zone as zone_of_names
from exporter.proposal.times import Order, Times, is_utc, moment_of
from exporter.proposal.words import Entry, entries, nulls
from exporter.records import RECORDS, placing
from exporter.records.columns import COLUMNS
from exporter.records.notation import Notation

Ask = Callable[[Unclear], str | None]
"""Asks the user; None where nobody answers."""
FEW_NAMES = 2


class Guess(NamedTuple):
    """Something that changes values if it is wrong: the key of the source or the column that it is about, and words."""

    key: str
    text: str


@dataclass(frozen=True)
class Given:
    """What the user said beforehand."""

    record: str | None = None
    time_zone: str | None = None
    order: Order = ""
    sheet: str | None = None


@dataclass(frozen=True)
class Proposal:
    """What is known and guessed of a file."""

    sample: Sample
    record: str
    entries: Sequence[Entry]
    keys: Mapping[str, Any]  # of the source: how values are written
    guesses: Sequence[Guess]
    others: Mapping[str, Sequence[str]]  # column of ours -> other columns of theirs that it may be
    missing: Sequence[str]  # columns of ours that KPIs need, and that nothing fills
    repeated_ids: int
    newest: datetime | None
    days: Sequence[str]  # columns with times that have no time of day

    @property
    def ignored(self) -> list[str]:
        read = {each.theirs for each in self.entries}
        read |= {*self.keys.get("id_columns", ())}
        read |= {clock for day, clock in self.sample.times_of_day.items() if day in read}
        return [name for name in self.sample.names if name and name not in read]


def proposed(path: Path, at: datetime, given: Given, ask: Ask, zone: str | None = None) -> Proposal:
    """The proposal. `zone`: the time zone of this machine. Raises SourceError where the file cannot be read, and
    Unclear where something must be said that nobody says."""
    sample = with_times_of_day(_sampled(path, at, given, ask))
    times = Times.found(sample, given.order)
    guesses: list[Guess] = []
    chosen = _record(sample, times, given, ask, guesses)
    if times.why and _matters(times, chosen):
        times = _ordered(times, ask, guesses)
    signs = _signs(sample, chosen, guesses)
    found = [*entries(sample, chosen, signs), *_computed_end(sample, times, chosen)]
    formats = _formats(times, found)
    keys: dict[str, Any] = {}
    if zoned := _zone(sample, times, found, given, ask, zone, guesses):
        keys["time_zone"] = zoned
    keys |= {"time_format": [*formats]} if formats else {}
    keys |= {key: sign for key, sign, plain in zip(Signs._fields, signs, Signs(), strict=True) if sign != plain}
    identifying = [] if "id" in chosen.of else identifying_columns(sample, chosen)
    if identifying:
        keys["id_columns"] = identifying
        guesses.append(
            Guess("id_columns", "no column holds an id; these together identify a row, and must never change")
        )
    keys |= {"nulls": words} if (words := nulls(sample, found, chosen.record)) else {}
    found = [_timed(each, times, formats, zoned) for each in found]
    guesses += [Guess(each.theirs, note) for each in found for note in each.notes]
    guesses += [Guess(f"{each.theirs}: {word}", note) for each in found for word, note in each.of_words.items()]
    return Proposal(
        sample=sample,
        record=chosen.record,
        entries=found,
        keys=keys,
        guesses=guesses,
        others=chosen.others,
        missing=missing(chosen.record, {each.column for each in found}),
        repeated_ids=repeats(sample, identifying or [each.theirs for each in chosen.of.get("id", ())]),
        newest=_newest(sample, found, keys, chosen.record),
        days=[each.theirs for each in found if each.theirs in times.of and all_are(sample, each.theirs, is_day)],
    )


def _sampled(path: Path, at: datetime, given: Given, ask: Ask) -> Sample:
    try:
        return sampled(path, at, given.sheet)
    except Unclear as question:
        answer = ask(question)
        if answer is None:
            raise
        return sampled(path, at, answer)


def _record(sample: Sample, times: Times, given: Given, ask: Ask, guesses: list[Guess]) -> Fit:
    found = fits(sample, times)
    best, second = found[:2]
    if not given.record and sure(found):
        return best
    text = f"Rows may be of the record {best.record} or {second.record}. Of which?"
    if not best.placed:
        text = "No column has a name that tells what a row is"
    question = Unclear("record", text, [each.record for each in found])
    if answer := given.record or ask(question):
        chosen = next(each for each in found if each.record == answer)
        if not chosen.placed:
            text = "no column is known that says when a row was or how it ended: write which under columns"
            guesses.append(Guess("record", text))
        return chosen
    if not best.placed:
        raise question
    guesses.append(Guess("record", f"by their columns, rows may also be of the record {second.record}"))
    return best


def _matters(times: Times, chosen: Fit) -> bool:
    """Whether a column that is read has dates that may be read in two ways."""
    return any(times.formats(theirs, "day") != times.formats(theirs, "month") for theirs in chosen.taken)


def _ordered(times: Times, ask: Ask, guesses: list[Guess]) -> Times:
    """The times, once it is said or told by other dates whether the day or the month comes first. Otherwise neither is
    assumed."""
    if times.order != "unclear":
        guesses.append(Guess("time_format", f"{times.example} has the {times.order} first: {times.why}"))
        return times
    answer = ask(Unclear("order", f"In {times.example}, is the first number the day or the month?", ["day", "month"]))
    if answer in ("day", "month"):
        return replace(times, order="day" if answer == "day" else "month")
    text = (
        f"dates are like {times.example}: the day or the month may come first; none is read until you keep one format"
    )
    guesses.append(Guess("time_format", text))
    return times


def _signs(sample: Sample, chosen: Fit, guesses: list[Guess]) -> Signs:
    """How the numbers that are read are written."""
    kinds = COLUMNS[RECORDS[chosen.record]]
    numbers = [
        value
        for column, matches in chosen.of.items()
        if kinds[column].kind in ("number", "integer")
        for value in sample.values(matches[0].theirs)
        if is_number(value)
    ]
    signs, certain = signs_of(numbers, local=sample.layout.get("delimiter") == ";")
    if not certain:
        key = "decimal" if signs.decimal != "." else "thousands" if signs.thousands else "numbers"
        guesses.append(Guess(key, "the numbers may also be written the other way round: 1,234 is 1.234 or 1234"))
    return signs


def _computed_end(sample: Sample, times: Times, chosen: Fit) -> list[Entry]:
    """The end of a run of which only the start and the length are there, both as numbers."""
    start = chosen.of.get("started_at")
    length = next((name for name in sample.names if is_length_name(name)), None)
    if chosen.record != "run" or "finished_at" in chosen.of or not start or not length:
        return []
    began = start[0].theirs
    if not all(each.numeric and not each.local for each in times.of[began]):
        return []
    query = f"sum([to_number({json.dumps(began)}), to_number({json.dumps(length)})])"
    return [Entry(length, "finished_at", {"query": query}, [f"{length} is taken to be of the unit of {began}"])]


def _formats(times: Times, found: Sequence[Entry]) -> tuple[str, ...]:
    """The formats of most columns with times."""
    each = [times.formats(entry.theirs) for entry in found if entry.theirs in times.of]
    return max(each, key=each.count, default=())


def _timed(entry: Entry, times: Times, formats: tuple[str, ...], zone: str | None) -> Entry:
    """An entry with what its times have of their own."""
    if entry.theirs not in times.of:
        return entry
    rule = dict(entry.rule)
    own = times.formats(entry.theirs)
    if own != formats and times.of[entry.theirs]:
        rule["time_format"] = [*(own or times.explicit(entry.theirs))]
    if zone != "UTC" and any(map(is_utc, own)):
        rule["time_zone"] = "UTC"
    return replace(entry, rule=rule)


def _zone(
    sample: Sample,
    times: Times,
    found: Sequence[Entry],
    given: Given,
    ask: Ask,
    machine: str | None,
    guesses: list[Guess],
) -> str | None:
    """The time zone of times without an offset; None where all have one."""
    local = [each.theirs for each in found if times.local(each.theirs)]
    if given.time_zone:
        return given.time_zone
    if not local:
        return "UTC" if any(is_utc(form) for each in found for form in times.formats(each.theirs)) else None
    if all("utc" in name.lower() or "gmt" in name.lower() for name in local):
        return "UTC"
    language, count = zone_of_names(sample.names)
    likely = machine or (language if count >= FEW_NAMES else "UTC")
    text = f"No time in {', '.join(local[:3])} has an offset. In which time zone are they?"
    if answer := ask(Unclear("time_zone", text, [likely])):
        return answer
    why = (
        "it is that of this machine"
        if machine
        else "it goes with the names of the columns"
        if count >= FEW_NAMES
        else "nothing tells it"
    )
    guesses.append(Guess("time_zone", f"the times have no offset, and {why}"))
    return likely


def _newest(sample: Sample, found: Sequence[Entry], keys: Mapping[str, Any], record: str) -> datetime | None:
    """The newest time in the first column that places rows."""
    entry = next((each for each in found if each.column in placing(RECORDS[record])), None)
    if entry is None:
        return None
    zone = ZoneInfo(entry.rule.get("time_zone", keys.get("time_zone", "UTC")))
    formats = tuple(entry.rule.get("time_format", keys.get("time_format", ())))
    notation = Notation(time_zone=zone, time_formats=formats)
    moments = (moment_of(notation, value) for value in set(sample.values(entry.theirs)))
    return max((moment for moment in moments if moment), default=None)
