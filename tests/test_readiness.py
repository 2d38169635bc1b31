"""A first sync that reads recent records first: short windows have values before long ones, and all say so."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.base.clock import NEVER
from exporter.base.errors import Unavailable
from exporter.baselines.lookback import BaselineCache
from exporter.catalogue import kpi
from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client
from exporter.collect.poll import Outcome, poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.collect.status import status
from exporter.evaluation.compiled import narrowed
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Baselines, Period, Plan, Setting
from exporter.evaluation.range import Instants, evaluations
from exporter.explain.explain import explain
from exporter.explain.query import question
from exporter.explain.summary import rows, standing
from exporter.explain.wording import why, withdrawn
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.records import RECORDS, Read, Run
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.polled import connector, source
from tests.scenario import WINDOWS, empty_store, params

AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SLICE = 30 * DAY
FEED = SourceStatus(source="flows", records=frozenset({"run"}), complete=False, whole_since=AT - SLICE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as store:
        yield store


def run(days: int, **more: Any) -> Run:
    ended = AT - days * DAY - HOUR
    known = {"status": "succeeded", "workflow": "w", "team": "it", "started_at": ended - HOUR, "finished_at": ended}
    return Run(id=str(days), **{**known, **more})


class Backwards:
    """A platform with one run a day for 100 days; a poll reads what is new, then two slices of the past."""

    def __init__(self) -> None:
        self.broken = False

    async def poll(self, client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
        place = datetime.fromisoformat(cursor["place"]) if cursor else client.at
        for _ in range(2):
            place = max(place - SLICE, client.since)
            days = range((AT - place).days)
            yield Page([Read(run(n), {}) for n in days], {"place": place.isoformat()}, whole_since=place)
            if self.broken:
                raise Unavailable("HTTP 503")

    @property
    def source(self) -> Source:
        return source(connector(self.poll), initial_history_seconds=100 * 86400)


async def test_a_first_sync_that_reads_backwards_is_done_once_a_poll_has_reached_its_end(store: Store) -> None:
    platform, health = Backwards(), Health(version="0")
    found = []
    for minutes in (0, 10, 20):
        at = AT + timedelta(minutes=minutes)
        outcome = await poll_once(platform.source, store, health, at)
        stands = status(platform.source, store, at)
        complete = health.registry.get_sample_value("outcome_source_backfill_complete", {"source": "flows"})
        found.append((outcome.reason, stands.complete, complete, stands.stale, at - stands.whole_since))

    assert found == [
        (None, False, 0, False, 60 * DAY),
        (None, True, 1, False, 100 * DAY),
        (None, True, 1, False, 100 * DAY + timedelta(minutes=10)),
    ]


async def test_what_a_first_sync_has_brought_is_as_old_as_the_poll_that_began_it(store: Store) -> None:
    platform, health = Backwards(), Health(version="0")
    platform.broken = True
    outcomes = [await poll_once(platform.source, store, health, AT + n * 40 * timedelta(minutes=1)) for n in (0, 1)]
    stands = [status(platform.source, store, AT + hours * HOUR) for hours in (0, 1, 2)]

    assert outcomes == [Outcome(30, 30, "unavailable", "HTTP 503"), Outcome(60, 30, "unavailable", "HTTP 503")]
    assert {(each.complete, each.whole_since, each.last_success) for each in stands} == {(False, AT - 2 * SLICE, AT)}
    assert [each.stale for each in stands] == [False, False, True]


async def test_under_another_config_or_mapping_nothing_is_whole_yet(store: Store) -> None:
    platform, health = Backwards(), Health(version="0")
    platform.broken = True
    await poll_once(platform.source, store, health, AT)
    other = replace(platform.source, fingerprint="another")
    corrected = source(connector(platform.poll, REVISION=2))
    before = [status(each, store, AT).whole_since for each in (platform.source, other, corrected)]
    store.begin("flows", "another", AT)

    assert before == [AT - SLICE, NEVER, NEVER]
    assert store.source("flows").ready_since is None


async def test_a_corrected_mapping_that_several_polls_apply_is_marked_until_the_last_of_them(store: Store) -> None:
    platform, health = Backwards(), Health(version="0")
    for minutes in (0, 10):
        await poll_once(platform.source, store, health, AT + timedelta(minutes=minutes))
    corrected = source(connector(platform.poll, REVISION=2), initial_history_seconds=100 * 86400)
    found = []
    for minutes in (20, 30):
        at = AT + timedelta(minutes=minutes)
        await poll_once(corrected, store, health, at)
        stands = status(corrected, store, at)
        marked = health.registry.get_sample_value("outcome_source_rereading", {"source": "flows"})
        found.append((stands.complete, stands.rereading, marked, stands.last_success == at))

    assert found == [(True, True, 1, True), (True, False, 0, True)]


async def test_a_platform_set_up_anew_is_read_anew_until_the_last_of_several_polls(store: Store) -> None:
    platform, health = Backwards(), Health(version="0")
    for minutes in (0, 10):
        await poll_once(platform.source, store, health, AT + timedelta(minutes=minutes))
    store.start_over("flows", {})
    anew = []
    for minutes in (20, 30):
        await poll_once(platform.source, store, health, AT + timedelta(minutes=minutes))
        anew.append(store.source("flows").anew)

    assert anew == [True, False]


def test_a_source_says_in_words_how_far_its_first_sync_is() -> None:
    assert [standing(each) for each in (FEED, replace(FEED, whole_since=NEVER))] == [
        "first sync in progress; everything since 2026-03-01 12:00 UTC has been read, and shorter windows have values",
        "first sync in progress",
    ]


# Values


def plan(*names: str, **compared: Any) -> Plan:
    settings = [Setting(kpi=each, params=params(each, {}), min_coverage=0) for each in kpi.catalogue().values()]
    whole = Plan(settings=settings, windows=[*WINDOWS.items()], labels=dict.fromkeys(RECORDS, ("team",)))
    mine = narrowed(whole, {*names})
    return replace(mine, settings=[replace(each, baselines=Baselines(**compared)) for each in mine.settings])


def evaluated(store: Store, made: Plan, feed: SourceStatus = FEED) -> Evaluation:
    store.write("flows", [run(days) for days in range(30)], {})
    with store.reading() as reader:
        found = evaluate(reader, made, AT, [feed])
        return replace(found, baselines=BaselineCache().past(reader, store, made, AT, [feed]))


def windows(found: Evaluation, name: str) -> set[str | None]:
    return {figure.window for figure in found.figures if figure.kpi == name}


def test_windows_that_are_read_have_values_and_the_longer_ones_wait(store: Store) -> None:
    found = evaluated(store, plan("completion_ratio"))

    assert windows(found, "completion_ratio") == {"1d", "7d", "30d"}
    assert found.absent == {}
    assert found.waiting == {"completion_ratio": {"90d"}}


def test_what_looks_back_or_is_of_now_waits_for_all_of_the_first_sync(store: Store) -> None:
    found = evaluated(store, plan("workflow_recovery_seconds", "consecutive_failures"))

    assert found.figures == ()
    assert found.absent == dict.fromkeys(("workflow_recovery_seconds", "consecutive_failures"), "initial_sync")


def test_what_is_stale_has_no_values_however_much_of_it_is_read(store: Store) -> None:
    found = evaluated(store, plan("completion_ratio"), replace(FEED, stale=True))

    assert found.absent == {"completion_ratio": "stale_source"}


def test_no_records_so_far_is_not_no_records(store: Store) -> None:
    made = plan("completion_ratio")
    with store.reading() as reader:
        waits, done = (evaluate(reader, made, AT, [replace(FEED, complete=complete)]) for complete in (False, True))

    assert (waits.absent, done.absent) == ({"completion_ratio": "initial_sync"}, {"completion_ratio": "no_records"})


def test_a_window_that_waits_is_published_with_its_reason(store: Store) -> None:
    made = plan("completion_ratio")
    families = {each.name: each for each in series(evaluated(store, made), made, Limits()).snapshot.families}
    done = evaluated(store, made, replace(FEED, complete=True))

    assert families["outcome_kpi_window_absent"].samples == ((("completion_ratio", "90d", "initial_sync"), 1.0),)
    assert families["outcome_kpi_absent"].samples == ()
    assert {labels[0] for labels, _ in families["outcome_completion_ratio"].samples} == {"1d", "7d", "30d"}
    assert "outcome_kpi_window_absent" not in {each.name for each in series(done, made, Limits()).snapshot.families}


def test_people_read_that_a_window_waits_for_the_first_sync(store: Store) -> None:
    made = plan("completion_ratio")
    row = next(each for each in rows(evaluated(store, made), made, [FEED]) if each["kpi"] == "completion_ratio")
    with store.reading() as reader:
        answers = [
            explain(reader, made, AT, [FEED], question({"kpi": "completion_ratio", "window": window}, made))
            for window in ("30d", "90d")
        ]

    assert (withdrawn(row, "30d"), withdrawn(row, "90d"), why(row, "90d")) == (False, True, "first sync")
    assert [each["absent"] for each in answers] == [None, "initial_sync"]


def test_a_baseline_waits_until_its_window_is_read_and_none_is_kept_for_good(store: Store) -> None:
    period = Period(begins_at=AT - 10 * DAY, ends_at=AT - 5 * DAY)
    made = plan("completion_ratio", previous=True, fixed=period)
    found = evaluated(store, made).baselines

    assert {figure.window for figure in found.days["previous"][0]} == {"1d", "7d"}
    assert found.absent == {
        ("completion_ratio", "previous"): {"initial_sync"},
        ("completion_ratio", "fixed"): {"initial_sync"},
    }
    assert store.frozen_baselines() == {}


def test_history_gives_each_instant_the_windows_that_are_read(store: Store) -> None:
    made = plan("completion_ratio")
    evaluated(store, made)
    instants = Instants(first=AT - 29 * DAY, step=7 * DAY, count=5)
    with store.reading() as reader:
        found = [windows(each, "completion_ratio") for each in evaluations(reader, made, instants, lambda _: [FEED])]
        alone = [windows(evaluate(reader, made, at, [FEED]), "completion_ratio") for at in instants]

    assert found == alone == [{"1d"}, {"1d", "7d"}, {"1d", "7d"}, {"1d", "7d"}, {"1d", "7d"}]
