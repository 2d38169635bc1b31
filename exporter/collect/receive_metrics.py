"""Metrics about what is pushed: events, deliveries that are refused, and types that become no record."""

import re
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from exporter.collect.delivery import REASONS, Reason

MOST_TYPES = 50
OTHERS = "other"
TYPE = re.compile(r"[\w.:/#+-]{1,100}")
"""A type that may be shown and logged: a word. What else stands there could be anything that somebody wrote."""


class ReceiveMetrics:
    """One set of series for each source that is pushed; none for those that are polled."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"outcome_source_{name}", text, ["source", *labels], registry=registry)

        self._received = counter("events_received", "Events that were received and stored, those sent again included.")
        self._again = counter("events_repeated", "Events that had been received before.")
        self._refused = counter("deliveries_refused", "Deliveries (requests of a sender) that were refused.", "reason")
        self._unused = counter(
            "events_unused", "Events that became no record because of their type, which no record is made of.", "type"
        )
        self._lag = Gauge(
            "outcome_source_event_lag_seconds",
            "Time from the newest of the events that were last stored until it was received.",
            ["source"],
            registry=registry,
        )
        self._types: dict[str, set[str]] = {}

    def watch(self, source: str) -> None:
        """Creates a source's series."""
        self._received.labels(source)
        self._again.labels(source)
        self._lag.labels(source)
        for reason in REASONS:
            self._refused.labels(source, reason)

    def forget(self, source: str) -> None:
        """Removes the series of a source that is no longer configured."""
        self._types.pop(source, None)
        for metric in (self._received, self._again, self._refused, self._unused, self._lag):
            metric.remove_by_labels({"source": source})

    def received(self, source: str, events: int, again: int) -> None:
        self._received.labels(source).inc(events)
        self._again.labels(source).inc(again)

    def refused(self, source: str, reason: Reason) -> None:
        self._refused.labels(source, reason).inc()

    def lag(self, source: str, seconds: float) -> None:
        self._lag.labels(source).set(max(0.0, seconds))

    def unused(self, source: str, types: Mapping[str, int]) -> set[str]:
        """Counts events that become no record; returns their types as they are shown: only so many are told apart."""
        known, shown = self._types.setdefault(source, set()), set[str]()
        for type_, count in types.items():
            word = type_ if TYPE.fullmatch(type_) else OTHERS
            word = word if word in known or len(known) < MOST_TYPES else OTHERS
            known.add(word)
            shown.add(word)
            self._unused.labels(source, word).inc(count)
        return shown
