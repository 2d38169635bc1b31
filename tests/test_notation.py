"""How sources write times, numbers and nothing."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.collect import mapping
from exporter.records import Read, Request
from exporter.records.columns import Rule
from exporter.records.notation import PLAIN, Notation
from exporter.records.unreadable import Unreadable

BERLIN = ZoneInfo("Europe/Berlin")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month and so on


def fault(read: Any, given: Any) -> str:
    with pytest.raises(Unreadable) as raised:
        read(given)
    return str(raised.value)


@pytest.mark.parametrize(
    ("formats", "given", "instant"),
    [
        ((), "2026-11-20 10:00", at(2026, 11, 20, 9)),
        ((), "2026-11-20T10:00:00-05:00", at(2026, 11, 20, 15)),
        ((), "2026-11-20", at(2026, 11, 19, 23)),
        ((), date(2026, 11, 20), at(2026, 11, 19, 23)),
        ((), datetime(2026, 7, 20, 10), at(2026, 7, 20, 8)),  # noqa: DTZ001 - as Parquet and spreadsheets have it
        ((), 1764547200, at(2025, 12, 1)),
        (("%d.%m.%Y %H:%M",), "20.11.2026 10:00", at(2026, 11, 20, 9)),
        (("%d.%m.%Y %H:%M", "%d.%m.%Y"), "20.11.2026", at(2026, 11, 19, 23)),
        (("%d/%b/%y %I:%M %p",), "20/Nov/26 1:05 PM", at(2026, 11, 20, 12, 5)),
        (("%d/%m/%Y %H:%M %z",), "20/11/2026 10:00 +0300", at(2026, 11, 20, 7)),
        (("%Y%m%d",), 20261120, at(2026, 11, 19, 23)),
        (("excel",), "46346.4375", at(2026, 11, 20, 9, 30)),
        (("excel",), 46346.4375, at(2026, 11, 20, 9, 30)),
        (("epoch_s",), "1764547200", at(2025, 12, 1)),
        (("epoch_ms",), 1764547200000, at(2025, 12, 1)),
        (("%d/%m/%Y", "%m/%d/%Y"), "04/04/2026", at(2026, 4, 3, 22)),
    ],
)
def test_a_time_is_read_as_it_is_written(formats: tuple[str, ...], given: Any, instant: datetime) -> None:
    assert Notation(time_zone=BERLIN, time_formats=formats).instant(given) == instant


def test_a_local_time_that_exists_twice_is_the_first_of_the_two() -> None:
    assert Notation(time_zone=BERLIN).instant("2026-10-25 02:30") == at(2026, 10, 25, 0, 30)


def test_a_local_time_that_does_not_exist_is_read_with_the_offset_before_the_change() -> None:
    assert Notation(time_zone=BERLIN).instant("2026-03-29 02:30") == at(2026, 3, 29, 1, 30)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("2026-11-20 10:00", "'2026-11-20 10:00' has no time zone; set time_zone, such as Europe/Berlin"),
        (
            "03/04/2026",
            "'03/04/2026' is not a time; "
            'set time_format: "%d/%m/%Y" (3 April) or "%m/%d/%Y" (4 March), and time_zone',
        ),
        (
            "13/04/26 9:05",
            "'13/04/26 9:05' is not a time; set time_format: \"%d/%m/%y %H:%M\" (13 April), and time_zone",
        ),
        (
            "20/Nov/26 10:00 AM",
            "'20/Nov/26 10:00 AM' is not a time; set time_format: \"%d/%b/%y %I:%M %p\", and time_zone",
        ),
        ("1764547200000", "'1764547200000' is not a time; set time_format: epoch_ms"),
        ("46346.4375", "'46346.4375' is not a time; set time_format: excel, and time_zone"),
        (46346.4375, "46346.4375 may be days of a spreadsheet; set time_format: excel, or epoch_s for seconds"),
        (20260331, '20260331 would be in 1970; set time_format, such as "%Y%m%d", or epoch_s for seconds'),
        (202603, '202603 would be in 1970; set time_format, such as "%Y%m%d", or epoch_s for seconds'),
        (0, "0 is the first instant of 1970, which mostly means that there is none; then add it to nulls"),
        (
            "1970-01-01T00:00:00Z",
            "'1970-01-01T00:00:00Z' is the first instant of 1970, which mostly means that there is none; then add it to"
            " nulls",
        ),
        (1764547200000, "1764547200000 is not between 1970 and 2200; set time_format: epoch_ms"),
        ("yesterday", "a text of 9 characters is not a time, such as 2026-03-31T10:00:00Z"),
    ],
)
def test_a_time_that_is_not_certain_is_not_guessed_and_the_key_is_named(given: Any, said: str) -> None:
    assert fault(PLAIN.instant, given) == said


@pytest.mark.parametrize(
    ("formats", "given", "said"),
    [
        (
            ("%d/%m/%Y", "%m/%d/%Y"),
            "03/04/2026",
            '\'03/04/2026\' is several times by "%d/%m/%Y" or "%m/%d/%Y"; keep the one that is meant',
        ),
        (
            ("%d.%m.%Y",),
            "2026-11-20 10:00",
            '\'2026-11-20 10:00\' does not fit time_format "%d.%m.%Y"; by its looks it is "%Y-%m-%d %H:%M"',
        ),
        (("epoch_ms",), "1764547200", "'1764547200' is too small for milliseconds since 1970"),
        (
            ("epoch_ms",),
            0,
            "0 is the first instant of 1970, which mostly means that there is none; then add it to nulls",
        ),
        (("epoch_s",), 1764547200000, "1764547200000 is not between 1970 and 2200"),
        (("excel",), "12", "'12' is not between 1970 and 2200"),
    ],
)
def test_what_does_not_fit_the_format_is_not_read_by_another(formats: tuple[str, ...], given: Any, said: str) -> None:
    assert fault(Notation(time_zone=BERLIN, time_formats=formats).instant, given) == said


@pytest.mark.parametrize(
    ("decimal", "thousands", "given", "number"),
    [
        (".", "", "12.50", 12.5),
        (".", "", "$12.50", 12.5),
        (".", "", "-€ 5", -5.0),
        (".", "", "12 EUR", 12.0),
        (".", ",", "1,234,567.5", 1234567.5),
        (".", ",", "12,34,567", 1234567.0),
        (",", "", "4,5", 4.5),
        (",", ".", "1.234,50 €", 1234.5),
        (",", ".", "1.234", 1234.0),
        (",", " ", "1\u00a0234,5", 1234.5),
        (".", "'", "CHF 1\u2019234.50", 1234.5),
        (",", ".", 4.5, 4.5),
        (",", "", "1e5", 100000.0),
    ],
)
def test_a_number_is_read_as_it_is_written(decimal: str, thousands: str, given: Any, number: float) -> None:
    assert Notation(decimal=decimal, thousands=thousands).number(given) == number


@pytest.mark.parametrize(
    ("notation", "given", "said"),
    [
        (PLAIN, "1,234", '\'1,234\' is not a number; set thousands: "," (1234) or decimal: "," (1.234)'),
        (PLAIN, "1.234,50", '\'1.234,50\' is not a number; set decimal: "," and thousands: "." (1234.5)'),
        (PLAIN, "12 MIN", "'12 MIN' is not a number"),
        (PLAIN, "nan", "'nan' is not a number; if it means nothing, add it to nulls"),
        (PLAIN, True, "True is not a number"),
        (
            Notation(decimal=",", thousands="."),
            "1.5",
            '\'1.5\' is not a number; set decimal: "." and thousands: "," (1.5)',
        ),
    ],
)
def test_a_number_that_is_not_certain_is_not_guessed(notation: Notation, given: Any, said: str) -> None:
    assert fault(notation.number, given) == said


ITEM = {"when": "20.11.2026 10:00", "rating": "4,5", "state": "Parked", "team": "?", "tags": ["?", "red"]}


def filled(notation: Notation = PLAIN, **rules: Rule) -> Request:
    """A request filled by rules, and nothing that could not be read."""
    fillers = mapping.compiled({name: [rule] for name, rule in rules.items()}, [Request], notation)
    [record], _, left_out = mapping.records([Read(Request(id="1"), ITEM)], fillers, str)
    assert isinstance(record, Request)
    assert left_out == []
    return record


def test_a_rule_reads_what_is_written_as_the_source_writes() -> None:
    german = Notation(BERLIN, ("%d.%m.%Y %H:%M",), ",", nulls=frozenset({"?"}))
    found = filled(
        german,
        opened_at=Rule(field="when"),
        csat=Rule(field="rating", scale=(1, 5)),
        team=Rule(field="team", default="desk"),
        category=Rule(field="tags"),
    )

    assert found == Request(id="1", opened_at=at(2026, 11, 20, 9), csat=0.875, team="desk", category="red")


def test_a_rule_reads_what_it_says_itself_before_what_the_source_says() -> None:
    found = filled(
        Notation(BERLIN, ("excel",), ".", nulls=frozenset({"?"})),
        opened_at=Rule(field="when", time_format="%d.%m.%Y %H:%M", time_zone="UTC"),
        human_seconds=Rule(field="rating", decimal=",", unit="minutes"),
        team=Rule(field="team", nulls=()),
    )

    assert found == Request(id="1", opened_at=at(2026, 11, 20, 10), human_seconds=270.0, team="?")


@pytest.mark.parametrize(("word", "ours"), [("Parked", "open"), ("Solved", "resolved")])
def test_a_word_that_is_not_mapped_is_what_otherwise_says(word: str, ours: str) -> None:
    rule = Rule(field="state", map={"Solved": "resolved"}, otherwise="open")
    fillers = mapping.compiled(
        {"outcome": [rule], "region": [Rule(field="gone", map={"a": "b"}, otherwise="c")]}, [Request]
    )
    [record], _, _ = mapping.records([Read(Request(id="1"), {"state": word})], fillers, str)

    assert record == Request(id="1", outcome=ours)  # type: ignore[arg-type]  # a word
