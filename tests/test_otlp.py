"""Pushing over OTLP to a receiver on loopback that decodes what it is sent."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from exporter.evaluation.stats import Distribution, Family, Snapshot
from exporter.publish.content_negotiation import TEXT
from exporter.publish.exposition import own_families, render
from exporter.publish.lines import bound_text
from exporter.publish.otlp import Otlp
from exporter.publish.otlp_settings import OtlpSettings, address
from tests import deadline

RATIO = Family(
    "outcome_no_show_ratio", "No-shows.", "gauge", ("team", "window"), ((("it", "7d"), 0.25), (("hr", "7d"), 1))
)
SPREAD = Family(
    "outcome_wait_seconds_distribution",
    "Wait.",
    "gaugehistogram",
    ("team",),
    ((("it",), Distribution(((60, 1), (2592000, 2), (inf, 3)), 3, 99.5)),),
)

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Receiver:
    """An OTLP collector: keeps every request, answers with `status`."""

    def __init__(self) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.answer: tuple[bytes, str] = b"", "application/x-protobuf"
        self.location = ""
        self.url = ""
        self.changed = asyncio.Condition()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.status == 200:
            self.requests.append(ExportMetricsServiceRequest.FromString(body))
        async with self.changed:
            self.changed.notify_all()
        headers = {"Location": self.location} if self.location else {}
        return web.Response(status=self.status, body=self.answer[0], content_type=self.answer[1], headers=headers)

    async def arrived(self, requests: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.requests) >= requests)

    def metrics(self) -> list[Any]:
        return [
            metric
            for request in self.requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def series(self) -> Series:
        return {
            (metric.name, frozenset((each.key, each.value.string_value) for each in point.attributes)): point.as_double
            for metric in self.metrics()
            for point in (metric.gauge if metric.HasField("gauge") else metric.sum).data_points
        }


class Counts:
    def __init__(self) -> None:
        self.attempted = self.failed = self.rejected = 0

    def attempt(self) -> None:
        self.attempted += 1

    def fail(self) -> None:
        self.failed += 1

    def reject(self, points: int) -> None:
        self.rejected += points


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/metrics", receiver.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/metrics"
    yield receiver
    await runner.cleanup()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def pushing(receiver: Receiver, counts: Counts) -> AsyncIterator[Callable[..., Otlp]]:
    started: list[Otlp] = []

    def start(own: Callable[[], tuple[Family, ...]] = tuple, **changes: Any) -> Otlp:
        settings: dict[str, Any] = {"endpoint": receiver.url, "instance": "host-1", "version": "1.2.3"}
        settings |= {"interval_seconds": 3600.0, **changes}
        otlp = Otlp(
            OtlpSettings(**settings), attempted=counts.attempt, failed=counts.fail, rejected=counts.reject, own=own
        )
        started.append(otlp)
        return otlp

    yield start
    receiver.status = 200
    for otlp in started:
        await otlp.stop()


def scraped(*families: Family) -> Series:
    text = render(Snapshot(datetime(2026, 3, 31, tzinfo=UTC), families), CollectorRegistry()).parts[TEXT].plain.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_text(text)
        for sample in family.samples
    }


async def test_what_is_pushed_is_what_is_scraped(receiver: Receiver, pushing: Callable[..., Otlp]) -> None:
    otlp = pushing()
    await otlp.swap((RATIO, SPREAD))
    await otlp.push()

    assert scraped(RATIO, SPREAD) == receiver.series()
    assert len(receiver.series()) == 2 + 3


async def test_units_are_empty_help_is_kept_and_the_resource_is_stable(
    receiver: Receiver, pushing: Callable[..., Otlp]
) -> None:
    otlp = pushing(resource={"deployment.environment": "test", "service.name": "not ours"})
    await otlp.swap((RATIO,))
    await otlp.push()
    (metric,) = receiver.metrics()
    resource = receiver.requests[0].resource_metrics[0].resource
    attributes = {each.key: each.value.string_value for each in resource.attributes}

    assert (metric.unit, metric.description) == ("", "No-shows.")
    assert attributes["service.name"] == "outcome-exporter"
    assert attributes["service.instance.id"] == "host-1"
    assert attributes["service.version"] == "1.2.3"
    assert attributes["deployment.environment"] == "test"


async def test_families_that_appear_later_are_pushed_and_series_that_vanish_are_not(
    receiver: Receiver, pushing: Callable[..., Otlp]
) -> None:
    otlp = pushing()
    await otlp.swap((RATIO,))
    await otlp.push()
    receiver.requests.clear()
    await otlp.swap((SPREAD,))
    await otlp.push()
    later = receiver.series()
    receiver.requests.clear()
    await otlp.swap((RATIO,))
    await otlp.push()

    assert scraped(SPREAD) == later
    assert scraped(RATIO) == receiver.series()


async def test_the_exporters_own_metrics_go_along_as_they_are_at_the_push(
    receiver: Receiver, pushing: Callable[..., Otlp]
) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the client has no types here
    registry = CollectorRegistry()
    polls = Counter("outcome_polls", "Polls.", ("source",), registry=registry)
    Gauge("outcome_source_up", "Up.", registry=registry).set(1)
    otlp = pushing(own=lambda: own_families(registry))
    await otlp.swap((RATIO,))
    polls.labels("desk").inc(3)
    await otlp.push()
    own = {metric.name: metric for metric in receiver.metrics() if metric.name != RATIO.name}

    assert receiver.series()["outcome_polls_total", frozenset({("source", "desk")})] == 3
    assert {name: metric.WhichOneof("data") for name, metric in own.items()} == {
        "outcome_polls_total": "sum",
        "outcome_source_up": "gauge",
    }
    assert own["outcome_polls_total"].sum.is_monotonic
    assert own["outcome_polls_total"].sum.aggregation_temporality == 2  # cumulative


async def test_a_counter_of_ours_that_is_gone_is_not_pushed_any_more(
    receiver: Receiver, pushing: Callable[..., Otlp]
) -> None:
    registry = CollectorRegistry()
    polls = Counter("outcome_polls", "Polls.", ("source",), registry=registry)
    polls.labels("desk").inc()
    polls.labels("gone").inc()
    otlp = pushing(own=lambda: own_families(registry))
    await otlp.push()
    polls.remove("gone")
    receiver.requests.clear()
    await otlp.push()

    assert [dict(labels)["source"] for name, labels in receiver.series() if name == "outcome_polls_total"] == ["desk"]


async def test_requests_are_compressed_split_and_carry_the_headers(
    receiver: Receiver, pushing: Callable[..., Otlp]
) -> None:
    many = Family("outcome_x", "X.", "gauge", ("team",), tuple(((str(number),), number) for number in range(7000)))
    otlp = pushing(headers={"Authorization": "Bearer s3cret"}, batch_size=3000)
    await otlp.swap((many,))
    await otlp.push()

    assert scraped(many) == receiver.series()
    assert [count(request) for request in receiver.requests] == [3000, 3000, 1000]
    assert {"gzip"} == {headers["content-encoding"] for headers in receiver.headers}
    assert {"Bearer s3cret"} == {headers["authorization"] for headers in receiver.headers}


def count(request: ExportMetricsServiceRequest) -> int:
    return sum(len(metric.gauge.data_points) for metric in request.resource_metrics[0].scope_metrics[0].metrics)


async def test_an_outage_is_counted_each_time_and_told_once_without_secrets(
    receiver: Receiver, pushing: Callable[..., Otlp], counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    otlp = pushing(headers={"Authorization": "Bearer s3cret"}, endpoint=receiver.url + "?key=s3cret")
    await otlp.swap((RATIO,))
    receiver.status = 403
    for _ in range(3):
        await otlp.push()
    receiver.status = 200
    await otlp.push()

    assert (counts.attempted, counts.failed) == (4, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "pushing to 127.0.0.1 fails: 403 Forbidden; it is tried again every 3600 s without further notice",
        "pushing to 127.0.0.1 works again after 3 failed pushes",
    ]


@pytest.mark.parametrize(("status", "reason"), [(503, "Service Unavailable"), (500, "500 Internal Server Error")])
async def test_the_reason_of_an_outage_is_told_in_a_word(
    receiver: Receiver, pushing: Callable[..., Otlp], caplog: pytest.LogCaptureFixture, status: int, reason: str
) -> None:
    otlp = pushing(timeout_seconds=2.5)
    await otlp.swap((RATIO,))
    receiver.status = status
    await otlp.push()

    assert f"fails: {reason};" in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_no_delivery_and_no_credentials_go_there(
    receiver: Receiver, pushing: Callable[..., Otlp], counts: Counts, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    otlp = pushing(headers={"Authorization": "Bearer s3cret"})
    await otlp.swap((RATIO,))
    receiver.status, receiver.location = status, receiver.url
    await otlp.push()

    assert (counts.attempted, counts.failed, len(receiver.headers)) == (1, 1, 1)
    assert f"fails: {status} " in caplog.text
    assert "it sends us elsewhere" in caplog.text


async def test_a_page_for_people_is_no_delivery(
    receiver: Receiver, pushing: Callable[..., Otlp], counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    otlp = pushing()
    await otlp.swap((RATIO,))
    receiver.answer = b"<html>Sign in</html>", "text/html"
    await otlp.push()

    assert (counts.attempted, counts.failed) == (1, 1)
    assert "fails: 200 with a page for people (is this the address of a collector?)" in caplog.text


async def test_a_path_that_takes_no_metrics_is_told_with_the_keys_to_look_at(
    receiver: Receiver, pushing: Callable[..., Otlp], caplog: pytest.LogCaptureFixture
) -> None:
    otlp = pushing(endpoint=receiver.url.replace("/v1/metrics", "/otlp"))
    await otlp.swap((RATIO,))
    await otlp.push()

    assert "fails: 404 Not Found (see endpoint and metrics_endpoint in the config: is the path right?)" in caplog.text


@pytest.mark.slow
async def test_a_netrc_does_not_replace_the_configured_authorization_and_a_proxy_of_the_environment_is_used(
    receiver: Receiver, pushing: Callable[..., Otlp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login other password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", receiver.url.replace("/v1/metrics", ""))
    monkeypatch.setenv("no_proxy", "")
    otlp = pushing(headers={"Authorization": "Bearer s3cret"}, endpoint="http://collector.invalid/v1/metrics")
    await otlp.swap((RATIO,))
    await otlp.push()

    assert [each["authorization"] for each in receiver.headers] == ["Bearer s3cret"]
    assert [each["host"] for each in receiver.headers] == ["collector.invalid"]


def partial(points: int, words: str) -> ExportMetricsServiceResponse:
    told = ExportMetricsPartialSuccess(rejected_data_points=points, error_message=words)
    return ExportMetricsServiceResponse(partial_success=told)


IN_PROTOBUF = partial(2, "out\nof bounds").SerializeToString(), "application/x-protobuf"
IN_JSON = (
    b'{"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "out of bounds"}, "new": 1}',
    "application/json",
)


@pytest.mark.parametrize("answer", [IN_PROTOBUF, IN_JSON], ids=["protobuf", "JSON"])
async def test_points_rejected_within_a_success_are_counted_each_time_and_told_once(
    receiver: Receiver,
    pushing: Callable[..., Otlp],
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[bytes, str],
) -> None:
    caplog.set_level(logging.INFO)
    otlp = pushing(batch_size=2)
    await otlp.swap((RATIO, SPREAD))  # 5 points: three requests
    receiver.answer = answer
    await otlp.push()
    await otlp.push()
    receiver.answer = b"", "application/x-protobuf"
    await otlp.push()

    assert (counts.attempted, counts.failed, counts.rejected) == (3, 0, 12)
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1 rejected 6 points of a push: out of bounds; "
        "from now on outcome_otlp_rejected_points_total counts them",
        "127.0.0.1 accepts all points again, after rejecting 12",
    ]


@pytest.mark.parametrize(
    ("answer", "rejected"),
    [
        ((b"OK", "text/plain"), 0),
        ((b"\xff\xff", "application/x-protobuf"), 0),
        ((b"not JSON", "application/json"), 0),
        ((b"", "application/json"), 0),
        ((b"[" * 60_000, "application/json"), 0),
        ((b"\x00" * 1_000_000, "application/x-protobuf"), 0),
        ((partial(-5, "").SerializeToString(), "application/x-protobuf"), 0),
        ((partial(2**62, "").SerializeToString(), "application/x-protobuf"), 5000),
    ],
)
async def test_whatever_a_collector_says_with_a_200_the_push_has_arrived(
    receiver: Receiver, pushing: Callable[..., Otlp], counts: Counts, answer: tuple[bytes, str], rejected: int
) -> None:
    otlp = pushing()
    await otlp.swap((RATIO,))
    receiver.answer = answer
    await otlp.push()

    assert (counts.attempted, counts.failed, counts.rejected) == (1, 0, rejected)


async def test_a_word_of_the_collector_beside_a_success_is_told_once(
    receiver: Receiver, pushing: Callable[..., Otlp], caplog: pytest.LogCaptureFixture
) -> None:
    otlp = pushing()
    await otlp.swap((RATIO,))
    receiver.answer = partial(0, "use another path soon").SerializeToString(), "application/x-protobuf"
    await otlp.push()
    await otlp.push()

    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1 accepted the push with a message: use another path soon"
    ]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://c:4318", "https://c:4318/v1/metrics"),
        ("https://c:4318/", "https://c:4318/v1/metrics"),
        ("https://c/otlp", "https://c/otlp/v1/metrics"),
        ("https://c/otlp/", "https://c/otlp/v1/metrics"),
        ("https://c/otlp/v1/metrics", "https://c/otlp/v1/metrics"),
        ("https://c:4318/v1/metrics/", "https://c:4318/v1/metrics"),
        ("https://c/v1/traces", "https://c/v1/traces/v1/metrics"),
    ],
)
def test_metrics_go_below_a_base_address_and_a_whole_one_stays(base: str, expected: str) -> None:
    assert expected == address(base)


async def test_no_collector_at_all_is_an_outage_and_stopping_does_not_wait_for_it(
    pushing: Callable[..., Otlp], counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    otlp = pushing(endpoint="http://127.0.0.1:9/v1/metrics?key=s3cret", timeout_seconds=30.0)
    await otlp.swap((RATIO,))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await otlp.stop(timeout_seconds=0.5)

    assert loop.time() - began < 5
    assert "s3cret" not in caplog.text
    assert counts.failed <= 1


async def test_stopping_pushes_what_was_swapped_in_last(receiver: Receiver, pushing: Callable[..., Otlp]) -> None:
    otlp = pushing()
    await otlp.swap((RATIO,))
    await otlp.stop()

    assert scraped(RATIO) == receiver.series()


async def test_the_interval_pushes_by_itself(receiver: Receiver, pushing: Callable[..., Otlp]) -> None:
    otlp = pushing(interval_seconds=0.05)
    await otlp.swap((RATIO,))
    async with deadline.within(10):
        await receiver.arrived(3)

    assert scraped(RATIO) == receiver.series()


async def test_a_fault_in_the_own_metrics_does_not_end_the_pushing(
    receiver: Receiver, pushing: Callable[..., Otlp], caplog: pytest.LogCaptureFixture
) -> None:
    faults = [ZeroDivisionError()]

    def own() -> tuple[Family, ...]:
        if faults:
            raise faults.pop()
        return ()

    otlp = pushing(own=own, interval_seconds=0.05)
    await otlp.swap((RATIO,))
    async with deadline.within(10):
        await receiver.arrived(1)

    assert "this push was given up" in caplog.text


async def test_nothing_to_push_sends_nothing(receiver: Receiver, pushing: Callable[..., Otlp], counts: Counts) -> None:
    await pushing().push()

    assert (receiver.requests, counts.attempted) == ([], 0)


def test_secrets_are_not_shown() -> None:
    settings = OtlpSettings(endpoint="http://x", instance="i", version="1", headers={"Authorization": "s3cret"})

    assert "s3cret" not in repr(settings)


@given(st.floats(min_value=0.001, max_value=1e12))
def test_bounds_are_written_as_metrics_has_them(upper: float) -> None:
    family = Family("outcome_x", "X.", "gaugehistogram", (), (((), Distribution(((upper, 0), (inf, 1)), 1, 1)),))
    written = {dict(labels)["le"] for name, labels in scraped(family) if name.endswith("_bucket")}

    assert {bound_text(upper), bound_text(inf)} == written
