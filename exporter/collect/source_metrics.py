"""Metrics about sources: how polls go, what was read, what is missing, and how far a first sync is."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
)

from exporter.records import unreadable
from exporter.records.unreadable import LeftOut, Reason, Summary
from exporter.store.sweep import Swept
from exporter.store.unmapped import Unmapped

REASONS = ("auth", "rate_limited", "unavailable", "not_understood", "gone", "partial", "store", "bug")
"""Why a poll can fail. "store" and "bug" are ours; the others are the source's."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The part of a source's config that becomes labels."""

    kind: str
    records: tuple[str, ...]
    columns: tuple[str, ...]


class SourceMetrics:
    """One set of series for each configured source."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._watched: dict[str, Watched] = {}
        self._newest: dict[str, dict[str, datetime]] = {}
        self._without_details: set[str] = set()
        self._reread: set[str] = set()
        self._forbidden: dict[str, set[str]] = {}
        self._unread_kinds: dict[str, set[tuple[str, Reason, bool, str]]] = {}

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"outcome_source_{name}", text, ["source", *labels], registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"outcome_source_{name}", text, ["source", *labels], registry=registry)

        self._up = gauge(
            "up",
            "1 if the last poll of the source read everything, 0 if it failed or read only a part.",
            "kind",
        )
        self._last_success = gauge(
            "last_success_timestamp_seconds",
            "Start of the last poll that read everything, except for parts that cannot be read; 0 if there was none.",
        )
        self._interval = gauge("poll_interval_seconds", "Configured time between two polls of the source.")
        self._max_data_age = gauge(
            "max_data_age_seconds", "Configured age of the newest record above which an alert fires (max_data_age)."
        )
        self._duration = gauge("poll_duration_seconds", "Duration of the last poll.")
        self._polls = counter("polls", "Polls that have ended, successful or not.")
        self._failures = counter(
            "poll_failures", "Polls that failed or read only a part (reason partial), by reason.", "reason"
        )
        self._requests = counter("requests", "HTTP requests, by status code, timeout or error.", "code")
        self._rate_limited = counter("rate_limited", "Responses that asked the exporter to slow down.")
        self._records = counter("records", "Records read, including unchanged ones.", "record")
        self._skipped = counter("items_skipped", "Items left out because they could not be read.", "reason")
        self._unread = counter("values_unread", "Values of mapped columns that could not be read.", "column")
        self._details = counter(
            "details_failed", "Requests for the details of single items that failed; they are repeated later."
        )
        self._given_up = counter(
            "details_given_up", "Items whose details stay unknown, because too many others wait for theirs."
        )
        self._anew = counter(
            "starts_over",
            "Number of times that everything was read again because the last item read was gone, as after a restore.",
        )
        self._items_left_out = gauge(
            "items_left_out",
            "Items without a record now because a column cannot be read, by column and reason.",
            "column",
            "reason",
        )
        self._values_left_out = gauge(
            "values_left_out",
            "Values that are unknown now because they cannot be read, by column and reason.",
            "column",
            "reason",
        )
        self._lacking = gauge(
            "resources_forbidden",
            "1 for each part of the platform that the plan or the credential does not allow to read.",
            "resource",
        )
        self._unknown_words = gauge(
            "unknown_words",
            "Items whose status, or another word, is none that is known, by column and word.",
            "column",
            "word",
        )
        self._unmapped = gauge(
            "unmapped_records",
            "Stored records in which a label that the config fills is unknown, or a word that its map does not have.",
            "record",
            "column",
        )
        self._mapped = gauge(
            "mapped_records",
            "Stored records in which a label that the config fills is known, and a word of its map if it has one.",
            "record",
            "column",
        )
        self._missing = gauge(
            "records_missing",
            "Stored records that the platform did not list when its items were last looked through; they are deleted"
            " when they are missing again.",
            "record",
        )
        self._doubted = gauge(
            "sweep_doubted",
            "1 if so many records were missing that none is deleted, as after a fault or with a permission withdrawn.",
            "record",
        )
        self._deleted = counter("records_deleted", "Records deleted because the platform no longer lists them.")
        self._watermark = gauge(
            "watermark_timestamp_seconds",
            "Newest time in the records that is not in the future; 0 if there is none.",
            "record",
        )
        self._complete = gauge("backfill_complete", "1 if the first full sync is complete, 0 otherwise.")
        self._rereading = gauge(
            "rereading",
            "1 while everything is read again because a release corrected the mapping; the old values stay published.",
        )
        self._synced = gauge(
            "first_sync_items", "Records read by the first full sync so far; it stays after the sync is complete."
        )
        self._expected = gauge(
            "first_sync_items_expected", "Items that the first full sync is expected to read; 0 if unknown."
        )

    def watch(
        self,
        source: str,
        *,
        kind: str,
        interval_seconds: float,
        max_data_age_seconds: float = 3 * 86400,
        records: Iterable[str],
        columns: Iterable[str] = (),
    ) -> None:
        """Creates a source's series; for a known source, only what the config changed is updated."""
        now = Watched(kind, tuple(records), tuple(columns))
        before = self._watched.get(source)
        if before and before != now:
            self._up.remove(source, before.kind)
            for record in set(before.records) - set(now.records):
                self._records.remove(source, record)
                self._watermark.remove(source, record)
            for column in set(before.columns) - set(now.columns):
                self._unread.remove(source, column)
        self._watched[source] = now
        self._interval.labels(source).set(interval_seconds)
        self._max_data_age.labels(source).set(max_data_age_seconds)
        standing = (self._last_success, self._duration, self._complete, self._rereading, self._synced, self._expected)
        for metric in standing:
            metric.labels(source)
        self._polls.labels(source)
        for counted in (self._rate_limited, self._details, self._given_up, self._anew, self._deleted):
            counted.labels(source)
        self._requests.labels(source, "200")
        self._up.labels(source, kind)
        for reason in REASONS:
            self._failures.labels(source, reason)
        for reason in unreadable.REASONS:
            self._skipped.labels(source, reason)
        for record in now.records:
            self._records.labels(source, record)
            self._watermark.labels(source, record)
        for column in now.columns:
            self._unread.labels(source, column)

    def forget(self, source: str) -> None:
        """Removes the series of a source that is no longer configured."""
        if self._watched.pop(source, None):
            self._newest.pop(source, None)
            self._unread_kinds.pop(source, None)
            self._without_details.discard(source)
            self._reread.discard(source)
            self._forbidden.pop(source, None)
            for metric in vars(self).values():
                if isinstance(metric, Gauge | Counter):
                    metric.remove_by_labels({"source": source})

    def observer(self, source: str) -> "SourceObserver":
        """The object to which the HTTP client and the mapping report."""
        return SourceObserver(self, source)

    def watermarks(self, source: str) -> dict[str, datetime]:
        """Record -> its newest known time, updated by whoever reads records; empty after a start."""
        return self._newest.setdefault(source, {})

    def restored(self, source: str, *, complete: bool, last_success: datetime | None, rereading: bool = False) -> None:
        """Sets the state of the source as the store remembered it when polling began."""
        self._rereading.labels(source).set(rereading)
        self._complete.labels(source).set(complete)
        self._last_success.labels(source).set(last_success.timestamp() if last_success else 0)

    def read(self, source: str, records: Mapping[str, int], watermarks: Mapping[str, datetime]) -> None:
        """Counts a stored page."""
        for record, count in records.items():
            self._records.labels(source, record).inc(count)
        for record in watermarks.keys() & set(self._watched[source].records):
            self._watermark.labels(source, record).set(watermarks[record].timestamp())

    def swept(self, source: str, sweeps: Iterable[Swept], *, ended: Collection[str]) -> None:
        """Sets the result of the last sweeps; `ended`: the records whose sweep has just ended."""
        for each in sweeps:
            self._missing.labels(source, each.record).set(each.missed - each.deleted)
            self._doubted.labels(source, each.record).set(not each.believed)
            if each.record in ended:
                self._deleted.labels(source).inc(each.deleted)

    def started_over(self, source: str) -> None:
        """What was read last is gone from the platform, and all is read again."""
        self._anew.labels(source).inc()

    def first_rereading(self, source: str) -> bool:
        """Whether this is the first poll since the start that reads all of the source again."""
        first = source not in self._reread
        self._reread.add(source)
        return first

    def lacking(self, source: str, resources: Iterable[str]) -> set[str]:
        """Sets the resources that may not be read; returns those that are new among them."""
        now, before = set(resources), self._forbidden.get(source, set())
        for resource in before - now:
            self._lacking.remove(source, resource)
        for resource in now:
            self._lacking.labels(source, resource).set(1)
        self._forbidden[source] = now
        return now - before

    def first_failed_details(self, source: str) -> bool:
        """Whether this is the first time since the start that details of the source's items could not be read."""
        first = source not in self._without_details
        self._without_details.add(source)
        return first

    def unread(self, source: str, summary: Summary) -> bool:
        """Sets what is left out of a source; returns whether there is anything new in it."""
        for metric in (self._items_left_out, self._values_left_out, self._unknown_words):
            metric.remove_by_labels({"source": source})
        for line in summary.lines:  # several of one column and reason where words are told apart
            metric = self._items_left_out if line.whole else self._values_left_out
            metric.labels(source, line.column, line.reason).inc(line.count)
            if line.word:
                self._unknown_words.labels(source, line.column, line.word).inc(line.count)
        now = {(line.column, line.reason, line.whole, line.word) for line in summary.lines}
        before, self._unread_kinds[source] = self._unread_kinds.get(source, set()), now
        return not now <= before

    def unmapped(self, source: str, found: Iterable[Unmapped]) -> None:
        """Sets how many records lack a label that the config fills."""
        for metric in (self._unmapped, self._mapped):
            metric.remove_by_labels({"source": source})
        for each in found:
            self._unmapped.labels(source, each.record, each.column).set(each.unmapped)
            self._mapped.labels(source, each.record, each.column).set(each.records - each.unmapped)

    def progress(self, source: str, items: int, expected: int | None) -> None:
        """Sets the progress of the first full sync."""
        self._synced.labels(source).set(items)
        self._expected.labels(source).set(expected or 0)

    def succeeded(
        self, source: str, at: datetime, seconds: float, *, complete: bool = True, rereading: bool = False
    ) -> None:
        self._ended(source, seconds, well=True)
        self.restored(source, complete=complete, last_success=at, rereading=rereading)

    def failed(self, source: str, reason: str, seconds: float) -> None:
        self._ended(source, seconds, well=False)
        self._failures.labels(source, reason).inc()

    def partial(
        self, source: str, reason: str, at: datetime, seconds: float, *, complete: bool = True, rereading: bool = False
    ) -> None:
        """A poll has brought all but some parts that cannot be read now."""
        self.failed(source, reason, seconds)
        self.restored(source, complete=complete, last_success=at, rereading=rereading)

    def _ended(self, source: str, seconds: float, *, well: bool) -> None:
        self._up.labels(source, self._watched[source].kind).set(well)
        self._polls.labels(source).inc()
        self._duration.labels(source).set(seconds)


class SourceObserver:
    """Counts for one source."""

    def __init__(self, metrics: SourceMetrics, source: str) -> None:
        self._metrics = metrics
        self._source = source

    def request(self, code: str) -> None:
        self._metrics._requests.labels(self._source, code).inc()

    def rate_limited(self) -> None:
        self._metrics._rate_limited.labels(self._source).inc()

    def details_given_up(self, items: int) -> None:
        self._metrics._given_up.labels(self._source).inc(items)

    def detail_failed(self) -> None:
        self._metrics._details.labels(self._source).inc()

    def left_out(self, items: Iterable[LeftOut]) -> None:
        """Counts what could not be read: whole items, or values."""
        for each in items:
            if each.whole:
                self._metrics._skipped.labels(self._source, each.faults[0].reason).inc()
            else:
                for fault in each.faults:
                    self._metrics._unread.labels(self._source, fault.column).inc()
