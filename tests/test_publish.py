"""Publishing a snapshot: the bytes, what is refused, and what two scrapers see."""

import asyncio
import gzip
import subprocess
from datetime import UTC, datetime
from itertools import accumulate
from math import inf, nan
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, disable_created_metrics, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.evaluation.stats import Distribution, Family, Snapshot
from exporter.publish.content_negotiation import OPENMETRICS, TEXT, Format
from exporter.publish.exposition import BadSnapshotError, Publisher, check, own_families, render, written

AT = datetime(2026, 3, 31, tzinfo=UTC)
RATIO = Family(
    "outcome_no_show_ratio",
    'Of meetings, the "share" nobody came to.\nCounted by \\ start.',
    "gauge",
    ("window", "team"),
    ((("7d", "sales"), 0.5), (("7d", "it"), 0), (("30d", "it"), 0.25)),
)
SPREAD = Family(
    "outcome_time_to_resolve_seconds_distribution",
    "How long requests took.",
    "gaugehistogram",
    ("team",),
    ((("it",), Distribution(((60, 1), (3600.5, 3), (inf, 4)), 4, 9000.25)),),
)

TEXT_EXPECTED = r"""# HELP outcome_no_show_ratio Of meetings, the "share" nobody came to.\nCounted by \\ start.
# TYPE outcome_no_show_ratio gauge
outcome_no_show_ratio{team="it",window="30d"} 0.25
outcome_no_show_ratio{team="it",window="7d"} 0.0
outcome_no_show_ratio{team="sales",window="7d"} 0.5
# HELP outcome_time_to_resolve_seconds_distribution How long requests took.
# TYPE outcome_time_to_resolve_seconds_distribution histogram
outcome_time_to_resolve_seconds_distribution_bucket{le="60.0",team="it"} 1.0
outcome_time_to_resolve_seconds_distribution_bucket{le="3600.5",team="it"} 3.0
outcome_time_to_resolve_seconds_distribution_bucket{le="+Inf",team="it"} 4.0
# HELP outcome_polls_total How often a source was asked.
# TYPE outcome_polls_total counter
outcome_polls_total{source="desk"} 0.0
"""


def snapshot(*families: Family) -> Snapshot:
    return Snapshot(AT, families)


def own_metrics() -> CollectorRegistry:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the client has no types here
    registry = CollectorRegistry()
    Counter("outcome_polls", "How often a source was asked.", ("source",), registry=registry).labels("desk")
    return registry


def openmetrics_families(body: bytes) -> list[Metric]:
    return list(read_openmetrics(body.decode()))  # type: ignore[no-untyped-call]  # the client has no types here


def samples(families: list[Metric]) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
    return {(s.name, frozenset(s.labels.items()), s.value) for family in families for s in family.samples}


class Stage:
    """A publisher with a clock that is moved by hand, and a count of what was refused."""

    def __init__(self) -> None:
        self.now = 100.0
        self.refused = 0
        self.registry = own_metrics()
        self.publisher = Publisher(self.registry, seconds=lambda: self.now, refused=self.refuse)

    def refuse(self) -> None:
        self.refused += 1


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_families_and_samples_come_sorted_and_escaped_in_the_text_format(stage: Stage) -> None:
    await stage.publisher.swap(snapshot(SPREAD, RATIO))

    assert TEXT_EXPECTED.splitlines() == stage.publisher.body(TEXT).plain.decode().splitlines()


async def test_the_clients_own_parsers_read_both_formats_back_as_the_same_samples(stage: Stage) -> None:
    await stage.publisher.swap(snapshot(SPREAD, RATIO))
    text = list(read_text(stage.publisher.body(TEXT).plain.decode()))
    openmetrics = openmetrics_families(stage.publisher.body(OPENMETRICS).plain)

    assert {"outcome_no_show_ratio": "gauge", SPREAD.name: "gaugehistogram", "outcome_polls": "counter"} == {
        family.name: family.type for family in openmetrics
    }
    assert RATIO.help == openmetrics[0].documentation
    assert RATIO.help == text[0].documentation

    assert samples(openmetrics) == samples(text)
    assert len(samples(text)) == 3 + 3 + 1


async def test_promtool_finds_nothing_to_complain_about(stage: Stage) -> None:
    await stage.publisher.swap(snapshot(SPREAD, RATIO))
    exposition = stage.publisher.body(TEXT).plain
    checked = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=exposition, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_openmetrics_ends_once_at_the_very_end(stage: Stage) -> None:
    await stage.publisher.swap(snapshot(SPREAD, RATIO))
    body = stage.publisher.body(OPENMETRICS).plain

    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1
    assert b"# EOF" not in stage.publisher.body(TEXT).plain


@pytest.mark.parametrize("format_", [TEXT, OPENMETRICS])
async def test_the_gzip_body_is_one_member_with_the_same_bytes(stage: Stage, format_: Format) -> None:
    await stage.publisher.swap(snapshot(SPREAD, RATIO))
    body = stage.publisher.body(format_)

    assert body.plain == gzip.decompress(body.gzip)
    assert body.gzip.count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00") == 1


async def test_before_the_first_snapshot_a_scrape_has_the_exporters_own_metrics_only(stage: Stage) -> None:
    body = stage.publisher.body(TEXT)

    assert b"outcome_polls_total" in body.plain
    assert body.plain == gzip.decompress(body.gzip)
    assert b"ratio" not in stage.publisher.body(TEXT).plain
    assert (stage.publisher.at, stage.publisher.series) == (None, 0)


async def test_the_exporters_own_metrics_can_be_had_as_families(stage: Stage) -> None:
    Gauge("outcome_up", "Up.", registry=stage.registry).set(1)
    expected = (
        Family("outcome_polls_total", "How often a source was asked.", "gauge", ("source",), ((("desk",), 0.0),)),
        Family("outcome_up", "Up.", "gauge", (), (((), 1.0),)),
    )

    assert expected == own_families(stage.registry)


async def test_scrapers_of_the_same_second_get_the_very_same_bytes(stage: Stage) -> None:
    gauge = Gauge("outcome_busy", "Changes all the time.", registry=stage.registry)
    await stage.publisher.swap(snapshot(RATIO))
    first = stage.publisher.body(TEXT)
    gauge.set(1)
    stage.now += 0.9
    second = stage.publisher.body(TEXT)
    stage.now += 0.2
    third = stage.publisher.body(TEXT)

    assert first is second
    assert b"\noutcome_busy 0.0\n" in second.plain
    assert b"\noutcome_busy 1.0\n" in third.plain


async def test_a_new_snapshot_is_seen_at_once_and_what_is_gone_from_it_is_gone(stage: Stage) -> None:
    await stage.publisher.swap(snapshot(RATIO, SPREAD))
    stage.publisher.body(TEXT)
    await stage.publisher.swap(snapshot(SPREAD))

    assert b"no_show" not in stage.publisher.body(TEXT).plain
    assert (stage.publisher.at, stage.publisher.series) == (AT, 3)


async def test_a_bad_snapshot_is_refused_and_counted_and_the_old_one_stays(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.publisher.swap(snapshot(RATIO))
    twice = Family("outcome_b_ratio", "B.", "gauge", ("team",), ((("it",), 1), (("it",), 2)))

    assert not await stage.publisher.swap(snapshot(RATIO, twice))
    assert stage.refused == 1
    assert b"no_show" in stage.publisher.body(TEXT).plain
    assert b"outcome_b_ratio" not in stage.publisher.body(TEXT).plain
    assert [r.getMessage().split("stays: ")[1] for r in caplog.records] == [
        "outcome_b_ratio{'it'}: the same labels twice"
    ]


def gauge(*samples: tuple[tuple[str, ...], float | Distribution], name: str = "outcome_x", **other: object) -> Family:
    return Family(name, str(other.get("help", "X.")), "gauge", other.get("labels", ("team",)), samples)  # type: ignore[arg-type]  # bad on purpose


def spread(buckets: tuple[tuple[float, int], ...], count: int, total: float = 1.0) -> Family:
    return Family("outcome_x", "X.", "gaugehistogram", (), (((), Distribution(buckets, count, total)),))


@pytest.mark.parametrize(
    ("family", "fault"),
    [
        (gauge((("it",), nan)), "nan is not a finite number"),
        (gauge((("it",), inf)), "inf is not a finite number"),
        (gauge((("",), 1)), "label value '' is not a text, or is empty"),
        (gauge((("\ud800",), 1)), "is not UTF-8"),
        (gauge((("it", "web"), 1)), "2 label values for 1 label names"),
        (gauge((("it",), Distribution(((inf, 1),), 1, 1))), "Distribution in a gauge"),
        (gauge(name="outcome-x"), "'outcome-x' is not a name"),
        (gauge(name="outcome_X"), "'outcome_X' is not a name"),
        (gauge(labels=("Team",)), "'Team' is not a name"),
        (gauge(labels=("__name__",)), "'__name__' is not a name"),
        (gauge(labels=("le",)), "use le or quantile"),
        (gauge(labels=("team", "team")), "repeat"),
        (gauge(help=" "), "no help text"),
        (gauge(name="outcome_polls_total"), "a name that is used twice: outcome_polls_total"),
        (spread(((1, 1),), 1), "the last bucket is not +Inf"),
        (spread((), 0), "the last bucket is not +Inf"),
        (spread(((1, 1), (inf, 2)), 3), "the last bucket is not +Inf with the count"),
        (spread(((2, 1), (1, 1), (inf, 2)), 2), "do not rise"),
        (spread(((1, 3), (inf, 2)), 2), "do not rise"),
        (spread(((1, 1), (inf, 2)), 2, nan), "the sum is not finite"),
    ],
)
def test_what_would_break_a_scrape_is_refused(family: Family, fault: str) -> None:
    with pytest.raises(BadSnapshotError) as refused:
        render(snapshot(family), own_metrics())

    assert fault in str(refused.value)


def test_two_families_may_not_meet_under_one_name() -> None:
    bucket = Family(SPREAD.name + "_bucket", "X.", "gauge", (), ())
    for pair in ((RATIO, RATIO), (SPREAD, bucket), (bucket, SPREAD)):
        with pytest.raises(BadSnapshotError):
            check(snapshot(*pair))


LABELS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\\n,{}='), min_size=1, max_size=20)
HELPS = LABELS.filter(str.strip)
NAMES = st.sampled_from(("a", "kind", "le2", "lead", "team", "window"))  # on both sides of le
VALUES = st.floats(allow_nan=False, allow_infinity=False)


def distribution(steps: dict[float, int]) -> Distribution:
    counts = accumulate(steps[bound] for bound in sorted(steps))
    buckets = (*zip(sorted(steps), counts, strict=True), (inf, sum(steps.values())))
    return Distribution(buckets, buckets[-1][1], 1.5)


SPREADS = st.dictionaries(st.floats(1e-9, 1e12), st.integers(0, 10**9), max_size=5).map(distribution)


@st.composite
def families(draw: st.DrawFn, kind: Literal["gauge", "gaugehistogram"]) -> Family:
    """A family with any labels and values; values of labels come back in several of its series."""
    names = tuple(draw(st.lists(NAMES, unique=True, max_size=3)))
    texts = st.sampled_from(draw(st.lists(LABELS, min_size=1, max_size=4)))
    keys = st.tuples(*(texts for _ in names))
    values: st.SearchStrategy[float | Distribution] = VALUES | st.integers() if kind == "gauge" else SPREADS
    return Family(f"outcome_{kind}", draw(HELPS), kind, names, (*draw(st.dictionaries(keys, values)).items(),))


def as_the_client_has_it(family: Family) -> Metric:
    metric = Metric(family.name, family.help, family.kind)
    for values, value in sorted(family.samples, key=lambda sample: sample[0]):
        named = dict(zip(family.labels, values, strict=True))
        if not isinstance(value, Distribution):
            metric.add_sample(family.name, named, value)
            continue
        for bound, count in value.buckets:
            metric.add_sample(f"{family.name}_bucket", {**named, "le": floatToGoString(bound)}, count)  # type: ignore[no-untyped-call]  # the client has no types here
    return metric


class Ready(Collector):
    """Metrics made beforehand, in the shape the client's renderers ask for."""

    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> list[Metric]:
        return self.metrics


@given(families("gauge"), families("gaugehistogram"))
@settings(max_examples=40)
def test_both_formats_are_what_the_client_writes_byte_for_byte(gauges: Family, histograms: Family) -> None:
    rendering = render(snapshot(histograms, gauges), CollectorRegistry())
    client = Ready([as_the_client_has_it(gauges), as_the_client_has_it(histograms)])

    assert generate_latest(client) == rendering.parts[TEXT].plain
    assert generate_openmetrics(client) == rendering.parts[OPENMETRICS].plain + b"# EOF\n"  # type: ignore[no-untyped-call]  # the client has no types here


@pytest.mark.slow
@given(st.dictionaries(st.tuples(LABELS, LABELS), VALUES, max_size=8))
def test_whatever_the_labels_hold_comes_back_from_both_formats(figures: dict[tuple[str, str], float]) -> None:
    family = Family("outcome_x_ratio", "X.", "gauge", ("team", "window"), tuple(figures.items()))
    rendering = render(snapshot(family), CollectorRegistry())
    openmetrics = openmetrics_families(rendering.parts[OPENMETRICS].plain + b"# EOF\n")[0]
    text = next(iter(read_text(rendering.parts[TEXT].plain.decode())))

    for read in (openmetrics, text):
        assert figures == {(s.labels["team"], s.labels["window"]): s.value for s in read.samples}


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        written(b"figures", tmp_path / "taken")
    written(b"figures", tmp_path / "free")

    assert [each.name for each in sorted(tmp_path.iterdir())] == ["free", "taken"]
