"""Which format and which encoding a scrape asks for: two formats, never a version that is not really served."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Format:
    """An exposition format: what it is called, and the content type it is sent with."""

    media_type: str
    version: str
    content_type: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content_type", f"{self.media_type}; version={self.version}; charset=utf-8")


TEXT = Format("text/plain", "0.0.4")
OPENMETRICS = Format("application/openmetrics-text", "1.0.0")


@lru_cache(256)  # a server sees the same few headers again and again
def format_for(accept: str) -> Format:
    """The format an Accept header wants most; text where it wants neither, since a scrape always gets an answer."""
    wanted: list[tuple[float, int, Format]] = []
    for format_, preference in ((TEXT, 0), (OPENMETRICS, 1)):
        matches = [
            (specificity, quality)
            for name, parameters, quality in _ranges(accept)
            if (specificity := _specificity(format_, name, parameters)) is not None
        ]
        if matches:
            specificity, quality = max(matches)  # the most specific range decides (RFC 9110, 12.5.1)
            # Asked for by name and equally wanted: OpenMetrics. Only by a wildcard: what everything can read.
            wanted.append((quality, preference if specificity == 2 else -preference, format_))
    quality, _, best = max(wanted, default=(0.0, 0, TEXT), key=lambda each: each[:2])
    return best if quality > 0 else TEXT


@lru_cache(256)
def gzip_wanted(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header wants gzip at least as much as no encoding."""
    qualities = {name: quality for name, _, quality in _ranges(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    # Identity is always acceptable, but only a client that names it prefers it.
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def _specificity(format_: Format, name: str, parameters: dict[str, str]) -> int | None:
    """2 for the format by name, 1 for type/*, 0 for */*; None where the range does not cover it."""
    if name == format_.media_type:
        return 2 if parameters.get("version", format_.version) == format_.version else None
    if name == format_.media_type.partition("/")[0] + "/*":
        return 1
    return 0 if name == "*/*" else None


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """(name, parameters, quality) of every element of a header; an unreadable quality is 0."""
    for element in header.split(","):
        name, *rest = (each.strip().lower() for each in element.split(";"))
        parameters = {key.strip(): value.strip(' "') for key, _, value in (each.partition("=") for each in rest)}
        if name:
            yield name, parameters, _quality(parameters.get("q", "1"))


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
