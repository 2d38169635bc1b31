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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.evaluation.stats import Distribution, Family, Snapshot
from exporter.publish.content_negotiation import OPENMETRICS, TEXT, Format

log = logging.getLogger(__name__)

SHARED_SECONDS = 1.0
"""How long a rendering of the exporter's own metrics is shared between scrapes."""

NAME = re.compile(r"[a-z][a-z0-9_]*")
EOF_LINE = b"# EOF\n"
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # RFC 1952: no name, no time, fastest


class BadSnapshotError(AssertionError):
    """The evaluation made something that may not be published."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A piece of a body, plain and as raw deflate blocks that end on a byte: pieces can be joined either way."""

    plain: bytes
    deflated: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """A whole answer to a scrape."""

    plain: bytes
    gzip: bytes


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
        self._rendering = Rendering(None, 0, {format_: BodyPart(b"", b"") for format_ in (TEXT, OPENMETRICS)})
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
            cached = rendering, now, join(rendering.parts[format_], part(_expose(self._registry, format_), last=True))
            self._bodies[format_] = cached
        return cached[2]


def render(snapshot: Snapshot, registry: CollectorRegistry) -> Rendering:
    """The snapshot as bytes in every format; BadSnapshotError where it is not fit to be published."""
    check(snapshot, taken=sample_names(registry))
    collected = Collected(metric(family) for family in sorted(snapshot.families, key=lambda family: family.name))
    parts = {
        format_: part(_expose(collected, format_).removesuffix(EOF_LINE), last=False) for format_ in (TEXT, OPENMETRICS)
    }
    return Rendering(snapshot.at, sum(len(each.samples) for each in collected.collect()), parts)


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


class Collected(Collector):
    """Metrics made beforehand, in the shape the client's renderers ask for."""

    def __init__(self, metrics: Iterator[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> tuple[Metric, ...]:
        return self._metrics


def metric(family: Family) -> Metric:
    """A family in the client's terms, samples in the order of their labels."""
    samples = sorted(family.samples, key=lambda sample: sample[0])
    if family.kind == "gauge":
        gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in samples:
            if not isinstance(value, Distribution):
                gauge.add_metric(labels, value)
        return gauge
    # Its sum and count are published already, as the numerator and denominator of the mean: buckets only.
    histogram = Metric(family.name, family.help, "gaugehistogram")
    for labels, value in samples:
        if isinstance(value, Distribution):
            named = dict(zip(family.labels, labels, strict=True))
            for bound, count in value.buckets:
                histogram.add_sample(f"{family.name}_bucket", {**named, "le": bound_text(bound)}, float(count))
    return histogram


def bound_text(bound: float) -> str:
    """A bucket bound as the client writes it everywhere: le="60" and le="60.0" would be two series."""
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # the client has no types here
    return text


def _expose(collector: Collector, format_: Format) -> bytes:
    if format_ is TEXT:
        return generate_latest(collector)
    openmetrics: bytes = generate_openmetrics(collector)  # type: ignore[no-untyped-call]  # the client has no types here
    return openmetrics


def part(plain: bytes, *, last: bool) -> BodyPart:
    """Compressed at level 1: level 9 costs ten times the work for a sixth fewer bytes."""
    deflate = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    return BodyPart(plain, deflate.compress(plain) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH))


def join(first: BodyPart, last: BodyPart) -> Body:
    """One body; one gzip member, because several readers (Chromium's too) stop at the end of the first."""
    plain = first.plain + last.plain
    trailer = struct.pack("<LL", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)
    return Body(plain, GZIP_HEADER + first.deflated + last.deflated + trailer)


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
    for family in snapshot.families:
        histogram = family.kind == "gaugehistogram"
        own = {family.name + suffix for suffix in (("", "_bucket") if histogram else ("",))}
        if names & own:
            raise BadSnapshotError(f"{family.name}: a name that is used twice: {', '.join(sorted(names & own))}")
        names |= own
        _check_names(family)
        seen: set[tuple[str, ...]] = set()
        for labels, value in family.samples:
            where = f"{family.name}{{{', '.join(map(repr, labels))}}}"
            _check_labels(family, labels, where)
            if labels in seen:
                raise BadSnapshotError(f"{where}: the same labels twice")
            seen.add(labels)
            _check_value(family, value, where)


def _check_names(family: Family) -> None:
    for name in (family.name, *family.labels):
        if not NAME.fullmatch(name):
            raise BadSnapshotError(f"{family.name}: {name!r} is not a name of lower-case letters, digits and _")
    if len(set(family.labels)) != len(family.labels) or {"le", "quantile"} & set(family.labels):
        raise BadSnapshotError(f"{family.name}: label names {family.labels} repeat, or use le or quantile")
    if not family.help.strip():
        raise BadSnapshotError(f"{family.name}: no help text")


def _check_labels(family: Family, labels: tuple[str, ...], where: str) -> None:
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


def _check_value(family: Family, value: float | Distribution, where: str) -> None:
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
