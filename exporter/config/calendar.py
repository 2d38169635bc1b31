"""Reads the section `calendars` of the config."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import pairwise
from zoneinfo import available_timezones

from exporter.base.strict_yaml import At
from exporter.config.section import CalendarSection, HolidaysSection, day_text
from exporter.config.shape import Checker
from exporter.evaluation.calendar import Calendar, Span

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPAN = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)
MIDNIGHT = 24 * 60


@dataclass(frozen=True)
class CalendarReader:
    """Reads the calendars of one config; notes what is wrong."""

    checker: Checker

    def calendars(self, sections: Mapping[str, CalendarSection]) -> dict[str, Calendar]:
        """Every calendar, by name."""
        return {name: self._calendar(section, ("calendars", name)) for name, section in sections.items()}

    def chosen(self, name: str | None, known: Iterable[str], at: At) -> str | None:
        """The calendar that a source or a team names."""
        if name is not None and name not in known:
            self.checker.unknown("calendar", name, [*known], (*at, "calendar"))
        return name

    def zone(self, name: str, at: At) -> str:
        """A time zone, checked."""
        if name not in available_timezones():
            self._none_such("time zone", name, available_timezones(), "Europe/Berlin", at)
        return name

    def _calendar(self, section: CalendarSection, at: At) -> Calendar:
        if section.holidays:
            self._place(section.holidays, (*at, "holidays"))
        for day in section.open:
            if day in section.closed:
                self.checker.wrong((*at, "open", day), "this day is also in closed; keep it in one of the two")
        return Calendar(
            time_zone=self.zone(section.time_zone, (*at, "time_zone")),
            week=self._week(section, (*at, "hours")),
            country=section.holidays.country if section.holidays else None,
            subdivision=section.holidays.subdivision if section.holidays else None,
            closed=tuple(map(date.fromisoformat, section.closed)),
            open=tuple(self._extra(section, (*at, "open"))),
        )

    def _week(self, section: CalendarSection, at: At) -> tuple[tuple[Span, ...], ...]:
        """The hours of each day, Monday first."""
        week: dict[str, tuple[Span, ...]] = {}
        taken: dict[str, str] = {}
        for key, texts in section.hours.items():
            spans = self._spans(texts, (*at, key))
            for day in self._days(key, (*at, key)):
                if day in taken:
                    self.checker.wrong((*at, key), f"{day} already has hours in {taken[day]}; keep them in one place")
                week[day], taken[day] = spans, key
        if self.checker.clean(at) and not any(week.values()):
            self.checker.wrong(at, 'no day has hours, so no time would ever pass; write mon-fri: "09:00-17:00"')
        return tuple(week.get(day, ()) for day in DAYS)

    def _days(self, key: str, at: At) -> list[str]:
        """The days that a key such as mon, mon-fri or sat-mon stands for."""
        first, _, last = key.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            self.checker.wrong(at, f"this is not a day; write one of {', '.join(DAYS)}, or several like mon-fri")
            return []
        begin = DAYS.index(first)
        return [DAYS[(begin + i) % 7] for i in range((DAYS.index(last or first) - begin) % 7 + 1)]

    def _extra(self, section: CalendarSection, at: At) -> Iterator[tuple[date, tuple[Span, ...]]]:
        """Days that have other hours than their weekday."""
        for text, spans in section.open.items():
            try:
                yield date.fromisoformat(day_text(text)), self._spans(spans, (*at, text))
            except ValueError as error:
                self.checker.wrong((*at, text), str(error))

    def _spans(self, texts: Iterable[str], at: At) -> tuple[Span, ...]:
        """The spans of a day in their order; those that touch are fine."""
        spans = sorted(span for text in texts if (span := self._span(text, at)))
        for (_, before), (begin, _) in pairwise(spans):
            if begin < before:
                self.checker.wrong(at, f"the hours overlap at {clock(begin)}; correct one of the two")
        return tuple(spans)

    def _span(self, text: str, at: At) -> Span | None:
        """One span, in minutes since midnight."""
        match = SPAN.fullmatch(text)
        if not match:
            self.checker.wrong(at, "these are not hours; write them like 09:00-17:00")
            return None
        begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        if max(begin, end) > MIDNIGHT:
            self.checker.wrong(at, "a day ends at 24:00; write later hours on the next day, from 00:00")
            return None
        if end <= begin:
            over_midnight = "for a shift over midnight write 22:00-24:00, and 00:00-06:00 on the next day"
            self.checker.wrong(at, f"the hours end before they begin; {over_midnight}")
            return None
        return begin, end

    def _place(self, section: HolidaysSection, at: At) -> None:
        """Whether the holidays of a country, and of a part of it, are known."""
        import holidays  # noqa: PLC0415 - loaded only where a calendar has holidays: few have
        from holidays.registry import EntityLoader  # noqa: PLC0415 - few calendars have holidays

        countries = [*EntityLoader.get_country_codes(include_aliases=False)]
        if section.country not in countries:
            self._none_such("country", section.country, countries, "DE, two capital letters", (*at, "country"))
        elif section.subdivision is not None and section.subdivision not in (
            parts := getattr(holidays, section.country).subdivisions  # of this country alone: to load all takes long
        ):
            known = ", ".join(parts)
            advice = f"known: {known}" if known else "leave the key out: its holidays are the same everywhere"
            message = f"there is no subdivision {section.subdivision!r} of {section.country}; {advice}"
            self.checker.wrong((*at, "subdivision"), message)

    def _none_such(self, what: str, word: str, known: Iterable[str], example: str, at: At) -> None:
        near = get_close_matches(word, [*known], n=1, cutoff=0.7)
        advice = f"did you mean {near[0]!r}?" if near else f"write it like {example}"
        self.checker.wrong(at, f"there is no {what} {word!r}; {advice}")


def clock(minutes: int) -> str:
    """Minutes since midnight as a clock shows them."""
    return f"{minutes // 60:02}:{minutes % 60:02}"
