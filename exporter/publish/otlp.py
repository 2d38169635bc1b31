"""Pushes the same samples over OTLP/HTTP, as an alternative to scraping. Off unless configured.

Names and labels are those of /metrics, and units are empty, so that no translator adds a suffix. A distribution goes
out as the gauge `_bucket` (with `le`), just as Prometheus stores it: OTLP's own histogram would
claim to be a count of what has happened since the start, and the panels would need two queries.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any
from urllib.parse import urlsplit

import requests
from google.protobuf import json_format  # type: ignore[import-untyped]  # its types are a package of their own
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # its types are a package of their own
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter, ObservableGauge
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from exporter.evaluation.stats import Distribution, Family
from exporter.publish.lines import bound_text
from exporter.publish.otlp_settings import OtlpSettings

log = logging.getLogger(__name__)

COMPRESSIONS = {"gzip": Compression.Gzip, "none": Compression.NoCompression}
NO_REASON = "no answer in time"
LARGEST_ANSWER = 64 * 1024  # bytes; what a collector says of a push takes a few hundred
LONGEST_WORD = 300  # characters of it that go to the log
MOST_SERIES = 1_000_000
"""Per instrument. Past 2000 the SDK would put all that follow into one series, silently; the evaluation has limits."""


class Otlp:
    """Pushes the newest families in a thread of its own, from start to stop().

    `own` gives the exporter's own metrics; it is called in that thread before every push.
    `attempted` and `failed` count pushes, `rejected` points that the collector refused one by one; they too are
    called in that thread.
    """

    def __init__(
        self,
        settings: OtlpSettings,
        *,
        attempted: Callable[[], None],
        failed: Callable[[], None],
        rejected: Callable[[int], None],
        own: Callable[[], Iterable[Family]] = tuple,
    ) -> None:
        self._own = own
        self._observations: dict[str, list[Observation]] = {}
        self._own_observations: dict[str, list[Observation]] = {}
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._silence = _Silence()
        outage = Outage(settings, attempted, failed, rejected, self._silence)
        # The reader's own timer is off: the exporter's own metrics must be read before each push, and it has no place
        # for that.
        self._reader = PeriodicExportingMetricReader(
            _Exporter(settings, outage),
            export_interval_millis=inf,
            cardinality_limits={ObservableGauge: MOST_SERIES, ObservableCounter: MOST_SERIES},
        )
        self._provider = MeterProvider([self._reader], resource=_resource(settings), shutdown_on_exit=False)
        self._meter = self._provider.get_meter("outcome_exporter", settings.version)
        self._interval = settings.interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    async def swap(self, families: Iterable[Family]) -> None:
        """From now on push these: the families of a snapshot that has been published."""
        await asyncio.to_thread(self._swap, tuple(families))

    async def push(self) -> None:
        """Push now rather than at the next interval."""
        await asyncio.to_thread(self._push)

    async def stop(self, timeout_seconds: float = 5.0) -> None:
        """Push once more, and end. A collector that does not answer is waited for no longer than this."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, timeout_seconds)
        await asyncio.to_thread(self._provider.shutdown)
        self._silence.close()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self._push()
        self._push()

    def _push(self) -> None:
        try:
            self._own_observations = self._observed(self._own())
            self._reader.collect()
        except Exception:
            # The thread must outlive whatever happens in one round.
            log.exception("this push was given up")

    def _swap(self, families: Iterable[Family]) -> None:
        self._observations = self._observed(families)

    def _observed(self, families: Iterable[Family]) -> dict[str, list[Observation]]:
        observations: dict[str, list[Observation]] = {}
        for family in families:
            for name, labels, value in samples(family):
                observations.setdefault(name, []).append(Observation(value, labels))
            with self._lock:
                self._meet(family)
        return observations

    def _meet(self, family: Family) -> None:
        """An instrument for every name, once: what vanishes later is merely not observed any more."""
        for name in names(family):
            if name not in self._known:
                self._known.add(name)
                # Only the exporter's own metrics count what has happened; figures are corrected later, down too.
                counts = name.endswith("_total")
                create = self._meter.create_observable_counter if counts else self._meter.create_observable_gauge
                create(name, callbacks=[partial(self._observe, name)], unit="", description=family.help)

    def _observe(self, name: str, _options: CallbackOptions) -> Iterable[Observation]:
        return self._observations.get(name) or self._own_observations.get(name) or ()


class NotDelivered(Exception):  # noqa: N818 - a word for the log, raised through the SDK
    """An answer that is no failure to the SDK, though nothing has been taken; the text says why."""


@dataclass(slots=True)
class Rejected:
    """What a collector said of the points it did not take, while it took the push."""

    points: int = 0
    words: str = ""


class Outage:
    """Counts pushes; one line when they begin to fail, one when they work again. The same of points rejected."""

    def __init__(
        self,
        settings: OtlpSettings,
        attempted: Callable[[], None],
        failed: Callable[[], None],
        rejected: Callable[[int], None],
        silence: "_Silence",
    ) -> None:
        self._host = urlsplit(settings.endpoint).hostname  # a path may hold a key
        self._interval = settings.interval_seconds
        self._attempted, self._failed, self._rejected = attempted, failed, rejected
        self._silence = silence
        self._failures = self._refused = 0
        self._said = ""

    def pushed(self, *, succeeded: bool, rejected: Rejected) -> None:
        """What became of a push."""
        self._attempted()
        self._report_rejected(rejected, succeeded=succeeded)
        if succeeded and self._failures:
            log.info("pushing to %s works again after %d failed pushes", self._host, self._failures)
            self._failures = 0
            self._silence.reason = NO_REASON
        elif not succeeded:
            self._failed()
            self._failures += 1
            if self._failures == 1:
                reason = self._silence.reason
                if reason.startswith(("404 ", "405 ")):
                    reason += " (see endpoint and metrics_endpoint in the config: is the path right?)"
                log.error(
                    "pushing to %s fails: %s; it is tried again every %g s without further notice",
                    *(self._host, reason, self._interval),
                )

    def _report_rejected(self, rejected: Rejected, *, succeeded: bool) -> None:
        if rejected.points:
            self._rejected(rejected.points)
            if not self._refused:
                log.error(
                    "%s rejected %d points of a push: %s; from now on outcome_otlp_rejected_points_total counts them",
                    *(self._host, rejected.points, rejected.words or "it does not say why"),
                )
            self._refused += rejected.points
        elif rejected.words and rejected.words != self._said:
            log.warning("%s accepted the push with a message: %s", self._host, rejected.words)
        elif self._refused and succeeded:
            log.info("%s accepts all points again, after rejecting %d", self._host, self._refused)
            self._refused = 0
        self._said = rejected.words


class _Session(requests.Session):
    """Sees what the SDK's sender does not look at: redirects, pages instead of answers, points left out."""

    def __init__(self, most: int) -> None:
        super().__init__()
        # Without a way to authenticate of its own, requests would put a line of ~/.netrc in place of the headers.
        self.auth = _as_configured
        self.rejected = Rejected()
        self._most = most

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().request(*args, **kwargs | {"stream": True})
        with response:
            if 300 <= response.status_code < 400:
                raise NotDelivered(f"{response.status_code} {response.reason} (it sends us elsewhere: configure that)")
            if response.ok:
                self._judge(response, next(response.iter_content(LARGEST_ANSWER), b""))
        return response

    def _judge(self, response: requests.Response, content: bytes) -> None:
        kind = response.headers.get("Content-Type", "").lower()
        if "html" in kind:
            raise NotDelivered(f"{response.status_code} with a page for people (is this the address of a collector?)")
        answer = ExportMetricsServiceResponse()
        try:
            if "json" in kind:
                json_format.Parse(content or b"{}", answer, ignore_unknown_fields=True)
            elif not kind or "protobuf" in kind or "octet-stream" in kind:
                answer.ParseFromString(content)
        except (json_format.ParseError, DecodeError, ValueError):
            return  # 200 is what counts; some say more in a form of their own
        partial = answer.partial_success
        self.rejected.points += min(max(partial.rejected_data_points, 0), self._most)
        self.rejected.words = " ".join(partial.error_message.split())[:LONGEST_WORD] or self.rejected.words


def _as_configured(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Exporter(OTLPMetricExporter):
    def __init__(self, settings: OtlpSettings, outage: Outage) -> None:
        self._session = _Session(settings.batch_size)
        super().__init__(
            endpoint=settings.endpoint,
            headers=dict(settings.headers),
            timeout=settings.timeout_seconds,
            compression=COMPRESSIONS[settings.compression],
            certificate_file=settings.ca_file,
            max_export_batch_size=settings.batch_size,
            session=self._session,
            # A gauge has no temporality on the wire. In the SDK, delta makes it forget the label sets of the push
            # before; otherwise it would keep every one there has ever been.
            preferred_temporality={
                ObservableGauge: AggregationTemporality.DELTA,
                ObservableCounter: AggregationTemporality.CUMULATIVE,
            },
        )
        self._outage = outage

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self._session.rejected = Rejected()
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self._outage.pushed(succeeded=result is MetricExportResult.SUCCESS, rejected=self._session.rejected)
        return result


class _Silence(logging.Handler):
    """Takes what the SDK logs: a line or more for every failed request, some with a traceback. Keeps why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = NO_REASON
        self._logger = logging.getLogger("opentelemetry")
        self._propagated = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def close(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("opentelemetry.exporter"):
            log.warning("OpenTelemetry SDK: %s", record.getMessage())
        elif words := [_plain(each) for each in _arguments(record) if each not in (None, "metrics")]:
            self.reason = " ".join(words)


def _arguments(record: logging.LogRecord) -> Iterator[Any]:
    # The wait until the next try is a float; a status code is an int, its reason a text, no connection an exception.
    if isinstance(record.args, tuple):
        yield from (each for each in record.args if not isinstance(each, float))


def _plain(argument: Any) -> str:
    """Without what an exception quotes: the URL may hold a key."""
    if isinstance(argument, NotDelivered):
        return str(argument)
    return type(argument).__name__ if isinstance(argument, BaseException) else str(argument)


def _resource(settings: OtlpSettings) -> Resource:
    return Resource.create(
        {
            **settings.resource,
            "service.name": "outcome-exporter",
            "service.instance.id": settings.instance,
            "service.version": settings.version,
        }
    )


def names(family: Family) -> tuple[str, ...]:
    """The names a family goes out under."""
    return (family.name + ("_bucket" if family.kind == "gaugehistogram" else ""),)


def samples(family: Family) -> Iterator[tuple[str, dict[str, str], float]]:
    """(name, labels, value) of every sample, as /metrics has them."""
    for values, value in family.samples:
        labels = dict(zip(family.labels, values, strict=True))
        if isinstance(value, Distribution):
            for upper, count in value.buckets:
                yield f"{family.name}_bucket", {**labels, "le": bound_text(upper)}, float(count)
        else:
            yield family.name, labels, float(value)
