"""What there is to know about the connectors, as text for a terminal."""

from collections.abc import Iterator
from textwrap import fill

from exporter.base.strict_yaml import did_you_mean
from exporter.connectors import CONNECTORS
from exporter.render.connectors import About, about

EVERY_SOURCE = "Keys that every source may have, such as interval, segments and fields: see deploy/config.example.yaml."


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
