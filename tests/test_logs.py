"""Lines of the log: what repeats itself is told once in a while."""

import logging

import pytest

from exporter.base.logs import MOST_KNOWN, QUIET_SECONDS, RepeatFilter


def record(name: str, text: str, at: float, error: BaseException | None = None) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, __file__, 1, text, (), None)
    made.created = at
    if error is not None:
        made.exc_info = type(error), error, error.__traceback__
    return made


def raised(text: str) -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def told(once: RepeatFilter, *records: logging.LogRecord) -> list[str]:
    return [each.getMessage() for each in records if once.filter(each)]


def test_a_line_of_a_library_is_told_once_in_ten_minutes_and_then_how_often_it_was_not() -> None:
    lines = [record("asyncio", f"accept failed\nsocket: {number}", float(number)) for number in range(1000)]

    assert told(RepeatFilter(), *lines) == [
        "accept failed\nsocket: 0",
        "accept failed\nsocket: 600 (and 599 times more since 1970-01-01T00:00:00.000Z)",
    ]


def test_a_traceback_of_ours_is_told_once_whatever_it_quotes() -> None:
    lines = [record("exporter.server", "could not be answered", 1.0, raised(f"/{number}")) for number in range(9)]

    assert len(told(RepeatFilter(), *lines)) == 1


@pytest.mark.parametrize(
    "other",
    [
        record("exporter.app", "config reloaded", 1.0),
        record("aiohttp", "another line", 1.0),
        record("aiohttp.web", "a line", 1.0),
        record("aiohttp", "a line", 1.0, raised("x")),
        record("aiohttp", "a line", 1.0 + QUIET_SECONDS),
        record("aiohttp", "a line", -1.0),
    ],
    ids=["a line of ours", "another line", "another place", "a fault", "later", "a clock set back"],
)
def test_what_does_not_repeat_itself_is_told(other: logging.LogRecord) -> None:
    once = RepeatFilter()
    first = [record("exporter.app", "config reloaded", 1.0), record("aiohttp", "a line", 1.0)]

    assert len(told(once, *first, other)) == 3


def test_what_is_remembered_is_bounded() -> None:
    once = RepeatFilter()
    told(once, *(record("aiohttp", f"line {number}", 1.0) for number in range(MOST_KNOWN + 1)))

    assert told(once, record("aiohttp", "line 0", 2.0), record("aiohttp", f"line {MOST_KNOWN}", 2.0)) == ["line 0"]
