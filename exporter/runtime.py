"""Evaluates what a store holds, with the status of its sources; `once` polls, evaluates and ends."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from exporter import __version__
from exporter.baselines.lookback import BaselineCache
from exporter.baselines.range import pasts
from exporter.baselines.weekdays import WeekdayCache, watched
from exporter.collect.account import Accounts
from exporter.collect.poll import Show, poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.status import status
from exporter.config import Config, StoreSettings
from exporter.evaluation.compiled import narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Weekdays
from exporter.evaluation.instant import evaluate
from exporter.evaluation.range import Instants
from exporter.explain import unusual
from exporter.explain.baselines import comparisons
from exporter.explain.explain import explain
from exporter.explain.history import Ask, History, computed
from exporter.explain.interventions import of_question
from exporter.explain.query import Question
from exporter.publish import backfill
from exporter.publish.families import Series, series
from exporter.store import Store, StoreError
from exporter.store.fault import InUse
from exporter.store.status import SourceStatus

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
"""Gives the present instant, aware; made in app.py."""


TRIES = 20  # for a store that a command has open, which takes it for a moment
pause = partial(time.sleep, 0.25)


def open_store(config: Config, *, tries: int = 1, pause: Callable[[], None] = pause) -> Store:
    """Opens the store; while it is in use, tries again. Raises StoreError."""
    settings = config.store
    key = settings.person_key.reveal() if settings.person_key else None
    for _ in range(tries - 1):
        with suppress(InUse):
            return _opened(settings, key)
        pause()
    return _opened(settings, key)


def _opened(settings: StoreSettings, key: str | None) -> Store:
    return Store.open(settings.path, threads=settings.threads, memory_limit=settings.memory_limit, person_key=key)


def statuses(config: Config, store: Store, at: datetime) -> list[SourceStatus]:
    """The status of every source at a time, in a store that nothing polls into."""
    return [status(source, store, at) for source in config.sources]


@dataclass
class Memory:
    """What an evaluation computes of the past, for the next ones."""

    baselines: BaselineCache = field(default_factory=BaselineCache)
    weekdays: WeekdayCache = field(default_factory=WeekdayCache)
    not_kept: str = ""  # why what was worked out cannot be stored, as it was said in the log
    stopping: Callable[[], bool] = lambda: False  # whether the program ends


class StoppedError(Exception):
    """The program ends, so there are no values any more."""


def evaluated(
    config: Config, store: Store, at: datetime, sources: Sequence[SourceStatus], *, memory: Memory | None = None
) -> Evaluation:
    """All values at a time, with their baselines. `memory`: what earlier evaluations computed; with one, usual
    weekdays are computed too, a day at a time. Raises StoppedError where the program ends before they are begun.
    """
    kept = memory or Memory()
    _keep(store, sources, kept)
    if kept.stopping():
        raise StoppedError
    with store.reading() as reader:
        return replace(
            evaluate(reader, config.plan, at, sources),
            baselines=kept.baselines.past(reader, store, config.plan, at, sources),
            weekdays=kept.weekdays.at(reader, config.plan, at, sources) if memory else None,
        )


def _keep(store: Store, sources: Sequence[SourceStatus], memory: Memory) -> None:
    """A store that cannot be written to, as on a full disk, can be evaluated all the same: only that takes longer."""
    trouble = ""
    try:
        store.keep((source.source for source in sources), stopping=memory.stopping)
    except StoreError as error:
        trouble = str(error)
        if trouble != memory.not_kept:
            log.warning("%s; until then each evaluation takes longer", trouble)
    memory.not_kept = trouble


def first_published(config: Config, store: Store, evaluation: Evaluation) -> dict[str, datetime]:
    """When each configured KPI had values for the first time; those that have some now are noted. Raises StoreError."""
    known = store.first_published((figure.kpi for figure in evaluation.figures), evaluation.at)
    return {name: known[name] for name in config.plan.kpis if name in known}


def explained(
    config: Config,
    store: Store,
    at: datetime,
    sources: Sequence[SourceStatus],
    asked: Question,
    known: Evaluation | None = None,
) -> dict[str, Any]:
    """Explains a value, ready for JSON. `known`: the evaluation at that time, if there is one. Raises Unexplained."""
    with store.reading() as reader:
        answer = explain(reader, config.plan, at, sources, asked, known)
        return answer | {
            "baselines": comparisons(reader, store, config.plan, at, sources, asked, known),
            "interventions": of_question(reader, config.plan, at, sources, asked),
            "weekdays": unusual.of_question(config.plan, _weekdays(reader, config, at, sources, asked, known), asked),
        }


def _weekdays(
    reader: Connection,
    config: Config,
    at: datetime,
    sources: Sequence[SourceStatus],
    asked: Question,
    known: Evaluation | None,
) -> Weekdays | None:
    """The last whole day of a KPI beside its weekdays, as it is published."""
    if known:
        return known.weekdays
    if not any(s.kpi.name == asked.kpi and watched(s) for s in config.plan.settings):
        return None
    return WeekdayCache().at(reader, narrowed(config.plan, {asked.kpi}), at, sources)


def weeks(store: Store, sources: Sequence[SourceStatus], ask: Ask, stopping: Callable[[], bool]) -> dict[str, History]:
    """The last weeks of some KPIs; none once the program is stopping."""
    with store.reading() as reader:
        return computed(reader, ask, sources, stopping)


def past(
    config: Config, store: Store, sources: Sequence[SourceStatus], chunk: Instants, labels: backfill.Labels
) -> list[backfill.Line]:
    """The values at past times, each as `once --no-poll --at` gives them, as lines of a part file. `labels`: those that
    every series gets. Raises BadRequestError."""

    def sources_at(at: datetime) -> list[SourceStatus]:
        return [each.as_of(at) for each in sources]

    with store.reading() as reader, pasts(store, config.plan, chunk, sources_at) as compared:
        return backfill.part(reader, config.plan, config.limits, chunk, labels, sources_at, compared)


@dataclass(frozen=True)
class OnceResult:
    """The result of `once`: series ready to be printed, and the sources that failed, with the reason."""

    evaluation: Evaluation
    published: Series
    health: Health
    failed: Mapping[str, str]
    unread: Mapping[str, str] = field(default_factory=dict)  # source -> what is left out of it, in words


async def once(
    config: Config, store: Store, clock: Clock, *, at: datetime | None, polls: bool, show: Show | None = None
) -> OnceResult:
    """Polls every source completely, all at the same time, then evaluates at `at` (None: the present)."""
    health = Health(version=__version__)
    health.reload.succeeded(clock())
    failed: dict[str, str] = {}
    if polls:
        began, accounts = clock(), Accounts()
        outcomes = await asyncio.gather(
            *(poll_once(source, store, health, began, show=show, accounts=accounts) for source in config.sources)
        )
        pairs = zip(config.sources, outcomes, strict=True)
        failed = {source.name: outcome.text for source, outcome in pairs if outcome.reason}
    moment = at or clock()
    sources = statuses(config, store, clock() if polls or at is None else moment)
    began_at = time.monotonic()
    evaluation = evaluated(config, store, moment, sources)
    published = series(evaluation, config.plan, config.limits)
    health.evaluation.succeeded(
        moment,
        time.monotonic() - began_at,
        series=published.count,
        folded=published.folded,
        shortened=published.spread_levels,
    )
    if at is None:
        health.evaluation.published(first_published(config, store, evaluation))
    health.store.measured(store.counts(), store.size())
    unread = {each.source: each.unread.describe(each.noun) for each in sources if each.unread.lines}
    withdrawn = {name for name, lost in evaluation.sources.items() if lost.of_all}
    withdrawn |= {each.source for each in sources if each.unreadable}
    failed |= {name: unread[name] for name in sorted(withdrawn & unread.keys()) if name not in failed}
    return OnceResult(evaluation, published, health, failed, unread)
