"""Finds dates whose time of day is in another column, and puts the two together."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from itertools import islice
from typing import Any

from exporter.connectors.files.mapping import dated
from exporter.proposal.sample import Sample
from exporter.proposal.tables import is_nothing, stem
from exporter.proposal.times import looks
from exporter.records.notation import Length

CLOCK = re.compile(r"([01]?\d|2[0-3]):\d{2}(:\d{2})?( ?[AaPp]\.?[Mm]\.?)?")
SOME = 500


def with_times_of_day(sample: Sample) -> Sample:
    """The sample with each date and its time of day in one: they are called alike, or a column that is called no more
    than a time stands beside a date."""
    clocks = [name for name in sample.names if all_are(sample, name, is_clock)]
    days = [name for name in sample.names if clocks and name not in clocks and all_are(sample, name, is_day)]
    pairs = dict(_pairs(sample, days, clocks))
    if not pairs:
        return sample
    rows = [{**row, **{day: dated(row, day, clock) for day, clock in pairs.items()}} for row in sample.rows]
    return replace(sample, rows=rows, times_of_day=pairs)


def _pairs(sample: Sample, days: Sequence[str], clocks: Sequence[str]) -> Iterator[tuple[str, str]]:
    free = [*clocks]
    waiting = []
    for day in days:
        alike = next((clock for clock in free if stem(clock) == stem(day)), None)
        if alike is None:
            waiting.append(day)
        else:
            free.remove(alike)
            yield day, alike
    for day in waiting:
        place = sample.names.index(day) + 1
        beside = sample.names[place] if place < len(sample.names) else ""
        if beside in free and not stem(beside):
            free.remove(beside)
            yield day, beside


def all_are(sample: Sample, name: str, holds: Any) -> bool:
    """Whether all values of a column are of a kind, and there are some."""
    values = [value for value in islice(sample.values(name), SOME) if not is_nothing(value)]
    return bool(values) and all(map(holds, values))


def is_clock(value: Any) -> bool:
    """Whether a value is a time of day."""
    if isinstance(value, Length):
        return 0 <= value < 86_400
    return isinstance(value, str) and CLOCK.fullmatch(value) is not None


def is_day(value: Any) -> bool:
    """Whether a value is a date without a time of day."""
    if isinstance(value, datetime):
        return value.time() == time()
    if isinstance(value, str):
        known = looks(value)
        return (
            known is not None
            and bool(known.formats)
            and not any("%H" in form or "%I" in form or form.startswith("e") for form in known.formats)
            and not CLOCK.search(value)
        )
    return isinstance(value, date)
