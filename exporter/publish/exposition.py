"""Samples -> Prometheus families; holds the current snapshot as bytes that are ready to send.

A snapshot is checked, rendered and compressed once per format, away from the event loop, and swapped in by one
assignment: a scrape only joins bytes. Metrics about the exporter itself are rendered at most once a second and shared
by every scrape of that second, so that two scrapers asking together get the same body, byte for byte.
"""

import asyncio
import logging
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain, pairwise
from math import inf, isfinite
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.evaluation.stats import Distribution, Family, Snapshot
from exporter.publish.content_negotiation import OPENMETRICS, TEXT, Format
from exporter.publish.lines import Lines, head

log = logging.getLogger(__name__)

SHARED_SECONDS = 1.0
"""How long a rendering of the exporter's own metrics is shared between scrapes."""

NAME = re.compile(r"[a-z][a-z0-9_]*")
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # RFC 1952: no name, no time, fastest


class BadSnapshotError(AssertionError):
    """The evaluation made something that may not be published."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A piece of a body, plain and as raw deflate blocks that end on a byte: pieces can be joined either way."""

    plain: bytes
    deflated: bytes
    crc: int


@dataclass(frozen=True)
class Body:
    """A whole answer to a scrape. It is put together as it is asked for: a scraper that reads gzip needs no other."""

    first: BodyPart
    last: BodyPart

    @cached_property
    def plain(self) -> bytes:
        """As it is."""
        return self.first.plain + self.last.plain

    @cached_property
    def gzip(self) -> bytes:
        """Compressed; one gzip member, because several readers (Chromium's too) stop at the end of the first."""
        length = len(self.first.plain) + len(self.last.plain)
        trailer = struct.pack("<LL", zlib.crc32(self.last.plain, self.first.crc), length & 0xFFFFFFFF)
        return GZIP_HEADER + self.first.deflated + self.last.deflated + trailer


@dataclass(frozen=True, slots=True)
class Rendering:
    """One snapshot in every format."""

    at: datetime | None
    series: int
    parts: dict[Format, BodyPart]


class Publisher:
    """Holds the newest rendering. `registry` has the exporter's own metrics; `refused` counts a refused snapshot."""

    def __init__(
        self, registry: CollectorRegistry, *, seconds: Callable[[], float], refused: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._seconds = seconds
        self._refused = refused
        self._rendering = Rendering(None, 0, {format_: BodyPart(b"", b"", 0) for format_ in (TEXT, OPENMETRICS)})
        self._bodies: dict[Format, tuple[Rendering, float, Body]] = {}

    @property
    def at(self) -> datetime | None:
        """The instant of the figures now published; None before the first."""
        return self._rendering.at

    @property
    def series(self) -> int:
        """How many series the figures now published have."""
        return self._rendering.series

    async def swap(self, snapshot: Snapshot) -> bool:
        """Publish `snapshot`; False where it was refused, and the old one stays."""
        try:
            rendering = await asyncio.to_thread(render, snapshot, self._registry)
        except BadSnapshotError as error:
            self._refused()
            log.error("the evaluation of %s is not published; the previous one stays: %s", snapshot.at, error)
            return False
        self._rendering = rendering
        return True

    def body(self, format_: Format) -> Body:
        """What a scrape gets now."""
        rendering, now = self._rendering, self._seconds()
        cached = self._bodies.get(format_)
        if cached is None or cached[0] is not rendering or not 0 <= now - cached[1] < SHARED_SECONDS:
            cached = rendering, now, Body(rendering.parts[format_], part(_expose(self._registry, format_), last=True))
            self._bodies[format_] = cached
        return cached[2]


def render(snapshot: Snapshot, registry: CollectorRegistry) -> Rendering:
    """The snapshot as bytes in every format; BadSnapshotError where it is not fit to be published."""
    check(snapshot, taken=sample_names(registry))
    families, lines = sorted(snapshot.families, key=lambda family: family.name), Lines()
    samples = [lines.of(family) for family in families]  # piece by piece: the event loop gets its turns meanwhile
    parts: dict[Format, BodyPart] = {}
    for format_ in (TEXT, OPENMETRICS):
        heads = [head(family, format_).encode() for family in families]
        parts[format_] = part(b"".join(chain.from_iterable(zip(heads, samples, strict=True))), last=False)
    return Rendering(snapshot.at, sum(family.size for family in families), parts)


def text(snapshot: Snapshot, registry: CollectorRegistry) -> bytes:
    """The whole exposition once, in the text format that a textfile collector reads."""
    rendering = render(snapshot, registry)
    return rendering.parts[TEXT].plain + _expose(registry, TEXT)


def written(content: bytes, path: Path) -> None:
    """Puts a file in its place in one step. Raises OSError, and leaves nothing of it then."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")  # beside it; a name that textfile collectors pass over
    try:
        draft.write_bytes(content)
        draft.chmod(0o644)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink()


def _expose(collector: Collector, format_: Format) -> bytes:
    if format_ is TEXT:
        return generate_latest(collector)
    openmetrics: bytes = generate_openmetrics(collector)  # type: ignore[no-untyped-call]  # the client has no types here
    return openmetrics


def part(plain: bytes, *, last: bool) -> BodyPart:
    """Compressed at level 1: level 9 costs ten times the work for a sixth fewer bytes."""
    deflate = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    deflated = deflate.compress(plain) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)
    return BodyPart(plain, deflated, zlib.crc32(plain))


def sample_names(registry: CollectorRegistry) -> frozenset[str]:
    """Every name under which the registry exposes something."""
    return frozenset(name for each in registry.collect() for name in (each.name, *(s.name for s in each.samples)))


def own_families(registry: CollectorRegistry) -> tuple[Family, ...]:
    """What a registry has now in the shape of figures, for those who are pushed to; a label may be missing in some."""
    samples_of: dict[tuple[str, tuple[str, ...]], list[tuple[tuple[str, ...], float]]] = {}
    helps: dict[str, str] = {}
    for each in registry.collect():
        for sample in each.samples:
            helps[sample.name] = each.documentation
            samples_of.setdefault((sample.name, tuple(sample.labels)), []).append(
                (tuple(sample.labels.values()), sample.value)
            )
    return tuple(Family(name, helps[name], "gauge", labels, tuple(had)) for (name, labels), had in samples_of.items())


def check(snapshot: Snapshot, *, taken: frozenset[str] = frozenset()) -> None:
    """Refuse what would break a scrape: Prometheus drops repeated samples, and a bad line fails the whole scrape."""
    names = set(taken)
    sound: dict[tuple[str, ...], set[tuple[str, ...]]] = {}  # label names -> values that were looked at already
    for family in snapshot.families:
        histogram = family.kind == "gaugehistogram"
        own = {family.name + suffix for suffix in (("", "_bucket") if histogram else ("",))}
        if names & own:
            raise BadSnapshotError(f"{family.name}: a name that is used twice: {', '.join(sorted(names & own))}")
        names |= own
        _check_names(family)
        known = sound.setdefault(family.labels, set())
        seen = {labels for labels, _ in family.samples}
        for labels in seen - known:
            _check_labels(family, labels)
        known |= seen
        if len(seen) < len(family.samples):
            (twice, _), *_ = Counter(labels for labels, _ in family.samples).most_common(1)
            raise BadSnapshotError(f"{_where(family, twice)}: the same labels twice")
        for labels, value in family.samples:
            if histogram or isinstance(value, Distribution) or not isfinite(value):
                _check_value(family, value, labels)


def _check_names(family: Family) -> None:
    for name in (family.name, *family.labels):
        if not NAME.fullmatch(name):
            raise BadSnapshotError(f"{family.name}: {name!r} is not a name of lower-case letters, digits and _")
    if len(set(family.labels)) != len(family.labels) or {"le", "quantile"} & set(family.labels):
        raise BadSnapshotError(f"{family.name}: label names {family.labels} repeat, or use le or quantile")
    if not family.help.strip():
        raise BadSnapshotError(f"{family.name}: no help text")


def _where(family: Family, labels: tuple[str, ...]) -> str:
    return f"{family.name}{{{', '.join(map(repr, labels))}}}"


def _check_labels(family: Family, labels: tuple[str, ...]) -> None:
    where = _where(family, labels)
    if len(labels) != len(family.labels):
        raise BadSnapshotError(f"{where}: {len(labels)} label values for {len(family.labels)} label names")
    for value in labels:
        # An empty value means "no such label" to Prometheus: the series would leave every dashboard's "All".
        if not isinstance(value, str) or not value:
            raise BadSnapshotError(f"{where}: label value {value!r} is not a text, or is empty")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadSnapshotError(f"{where}: label value {value!r} is not UTF-8") from error


def _check_value(family: Family, value: float | Distribution, labels: tuple[str, ...]) -> None:
    where = _where(family, labels)
    if isinstance(value, Distribution) != (family.kind == "gaugehistogram"):
        raise BadSnapshotError(f"{where}: {type(value).__name__} in a {family.kind}")
    if not isinstance(value, Distribution):
        if not isfinite(value):
            raise BadSnapshotError(f"{where}: {value} is not a finite number")
        return
    if not value.buckets or value.buckets[-1] != (inf, value.count) or not isfinite(value.sum):
        raise BadSnapshotError(f"{where}: the last bucket is not +Inf with the count, or the sum is not finite")
    for (lower, fewer), (upper, more) in pairwise(value.buckets):
        if not (lower < upper and 0 <= fewer <= more):
            raise BadSnapshotError(f"{where}: bounds and cumulative counts of the buckets do not rise")
