"""What there is to know about the connectors and the records, as text for a terminal."""

from collections.abc import Iterator
from textwrap import fill

from exporter.base.strict_yaml import did_you_mean
from exporter.connectors import CONNECTORS
from exporter.records import RECORDS, Record, person_columns
from exporter.records.columns import COLUMNS
from exporter.render.connectors import About, about

EVERY_SOURCE = (
    "Keys that every source may have, such as interval, segments and fields: see deploy/config.example.yaml."
    " Columns of a record, and the words that they take: outcome-exporter records NAME."
)


def listed() -> Iterator[str]:
    """A line for each connector: its type, what becomes what, the records."""
    width = max(map(len, CONNECTORS))
    for name in sorted(CONNECTORS):
        each = about(name)
        records = "any record" if "record" in {option.key for option in each.options} else ", ".join(each.records)
        yield f"{name:{width}}  {each.title} [{records}]"


def described(name: str, width: int) -> str:
    """Everything about one connector, in lines of at most `width`. Raises ValueError where there is none."""
    if name not in CONNECTORS:
        raise ValueError(f"there is no connector {name!r}; {did_you_mean(name, CONNECTORS)}")
    return "\n".join(_lines(about(name), width))


def records_listed() -> Iterator[str]:
    """A line for each record: its name, and what it is."""
    width = max(map(len, RECORDS))
    yield from (f"{name:{width}}  {said(record)}" for name, record in RECORDS.items())


def record_described(name: str, width: int) -> str:
    """A record with its columns, in lines of at most `width`. Raises ValueError where there is none."""
    if name not in RECORDS:
        raise ValueError(f"there is no record {name!r}; {did_you_mean(name, RECORDS)}")
    record = RECORDS[name]
    columns = {column: each for column, each in COLUMNS[record].items() if column != "source"}
    longest, persons = max(map(len, columns)), person_columns(record)
    lines = [fill(f"{name}: {said(record)}", width), ""]
    for column, each in columns.items():
        more = (
            "; required" if column == "id" else "; a person, of whom only a hash is kept" if column in persons else ""
        )
        first = f"  {column:{longest}}  "
        lines.append(_indented(f"{each.holds}{more}", width, first, " " * len(first)))
    return "\n".join(lines)


def said(record: type[Record]) -> str:
    """What a record is."""
    return " ".join((record.__doc__ or "").split())


def _lines(each: About, width: int) -> Iterator[str]:
    yield fill(each.title, width)
    yield ""
    yield from _words([("Records", ", ".join(each.records)), *each.before()], width)
    yield "Sample"
    yield from (f"  {line}".rstrip() for line in each.source())
    yield ""
    yield "Options"
    for option in each.options:
        given = option.default if option.default in ("none", "required") else f"default {option.default}"
        yield _indented(f"{option.key} ({given}): {option.meaning}", width, "  ", "      ")
    yield ""
    yield from _words(each.after(), width)
    yield fill(EVERY_SOURCE, width)


def _words(pairs: list[tuple[str, str]], width: int) -> Iterator[str]:
    for word, text in pairs:
        yield word
        yield _indented(text, width, "  ", "  ")
        yield ""


def _indented(text: str, width: int, first: str, others: str) -> str:
    return fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
