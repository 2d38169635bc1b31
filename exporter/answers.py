"""What pages and the API answer: out of what is published, and out of the store."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from exporter.collect.poller import Poller
from exporter.config import Config
from exporter.evaluation.plan import Plan
from exporter.explain.history import Ask, Histories, History
from exporter.explain.query import COLUMNS, Question, Unexplained, question
from exporter.publish import backfill
from exporter.records import Json
from exporter.report.compute import report
from exporter.report.content import Report
from exporter.report.period import NoSuchPeriod
from exporter.report.reader import Reader
from exporter.report.rendering import asked, page, render
from exporter.runtime import Clock, explained, past, weeks
from exporter.server import Refusal, cards, overview, sources, view
from exporter.server.board import Board
from exporter.store import Store, StoreError
from exporter.store.status import SourceStatus

PATIENCE_SECONDS = 0.2  # how long a page waits for its chart


class Answers:
    """The answers of a running exporter. `config`, `board`: those in force when a question comes."""

    def __init__(
        self,
        store: Store,
        poller: Poller,
        clock: Clock,
        config: Callable[[], Config],
        board: Callable[[], Board | None],
    ) -> None:
        self.store, self.poller, self.clock = store, poller, clock
        self._config, self._board = config, board
        self._closing = False
        self._statuses: list[SourceStatus] = []  # as it was last known
        self._histories = Histories(self._weeks)
        # One at a time of each: they take memory and a core. A chunk of history takes minutes; nobody waits for that.
        self._explaining, self.reporting, self._recounting = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()

    @property
    def config(self) -> Config:
        """The config in force."""
        return self._config()

    @property
    def board(self) -> Board | None:
        """What is published."""
        return self._board()

    def close(self) -> None:
        """Stops what is computed for charts."""
        self._closing = True
        self._histories.close()

    def overview(self, not_reloaded: str, loaded_at: datetime) -> dict[str, Any]:
        """What `/` shows. `not_reloaded`: why a newer config is not in force."""
        kinds = {source.name: source.type for source in self.config.sources}
        poller = self.poller
        lines = [
            sources.line(each, kinds.get(each.source, ""), poller.last_poll(each.source), poller.progress(each.source))
            for each in self._sources()
        ]
        return overview.overview(self.board, lines, self.histories, not_reloaded, loaded_at)

    def cards(self, query: Mapping[str, str], state: str) -> dict[str, Any]:
        """What `/kpis` shows of a team and a search."""
        team = query.get("team", "")
        if team and self.board and team not in self.board.teams:
            choices = [(each, f"/kpis?{urlencode({'team': each})}") for each in self.board.teams]
            raise Refusal(400, f"team: there are no values of a team {team!r}; the teams are these", choices)
        plan = self.board.plan if self.board else self.config.plan
        return cards.listing(self.board, plan, team, query.get("q", "")[:200]) | {"state": state}

    def _sources(self) -> list[SourceStatus]:
        """The status of every source; the last known one if the store cannot be read."""
        at = self.clock()
        with suppress(StoreError):
            self._statuses = self.poller.statuses(at)
        return [each.as_of(at) for each in self._statuses]

    async def explain(self, query: Mapping[str, str], most: int) -> dict[str, Any]:
        """A value with the records behind it, at most so many."""
        config = self.config
        try:
            wanted = question(query, config.plan, most=most)
            at = wanted.at or (self.board.evaluation.at if self.board else self.clock())
            if at > self.clock():
                raise Unexplained("at: this time is in the future; give a past one")
            async with self._explaining:
                board = self._board_at(config.plan, at)
                known = board.evaluation if board else None
                sources = board.sources if board else await asyncio.to_thread(self.poller.statuses, at)
                answer = await asyncio.to_thread(explained, config, self.store, at, sources, wanted, known)
            history = None if wanted.at or not board else await asyncio.to_thread(self._history, answer, wanted, board)
            return answer | {"history": history}
        except Unexplained as error:
            raise Refusal(400, str(error), [(text, view.link(**query)) for text, query in error.choices]) from None
        except StoreError as error:
            raise Refusal(503, str(error)) from None

    async def report(self, query: Mapping[str, str], form: str) -> Mapping[str, Any] | str:
        """A report as text in a format, or what its page shows."""
        config, at = self.config, self.clock()
        try:
            period, reader = asked(query)
            async with self.reporting:
                found = await asyncio.to_thread(self._reported, config, period, reader, at)
            if form:
                return await asyncio.to_thread(render, found, form)
            return page(found, period)
        except NoSuchPeriod as error:
            raise Refusal(400, str(error)) from None
        except StoreError as error:
            raise Refusal(503, str(error)) from None

    def _reported(self, config: Config, period: str, reader: Reader, at: datetime) -> Report:
        return report(config, self.store, period, reader, at, self.poller.statuses(at))

    def _history(self, answer: Mapping[str, Any], wanted: Question, board: Board) -> list[dict[str, Any]] | None:
        """The points of the chart; None if they take longer than a page waits for them."""
        if wanted.kpi not in self._past_of(board, [wanted.kpi], wanted.window):
            self._histories.settle(PATIENCE_SECONDS)
        history = self._past_of(board, [wanted.kpi], wanted.window).get(wanted.kpi)
        segment = {COLUMNS.get(label, label): value for label, value in answer["segment"].items()}
        if history is None:
            return None
        points = history.points(board.plan, segment, board.evaluation)
        return [{"at": each.at.isoformat(), "value": each.value, "n": each.n} for each in points]

    def _board_at(self, plan: Plan, at: datetime) -> Board | None:
        """What is published, if it is of this time and as configured now."""
        board = self.board
        return board if board and board.plan is plan and board.evaluation.at == at else None

    async def past(self, query: Mapping[str, str]) -> list[backfill.Line]:
        """A chunk of history, for `backfill`."""
        try:
            chunk, labels = backfill.chunk_of(query)
            async with self._recounting:
                sources = await asyncio.to_thread(self.poller.statuses, self.clock())
                return await asyncio.to_thread(past, self.config, self.store, sources, chunk, labels)
        except backfill.BadRequestError as error:
            raise Refusal(400, str(error)) from None

    def _weeks(self, ask: Ask) -> dict[str, History]:
        return weeks(self.store, self.poller.statuses(ask.hour), ask, lambda: self._closing)

    def histories(self, kpis: Collection[str], window: str) -> dict[str, History]:
        """The last weeks of some KPIs, of those that are ready; the others are soon. Called from any thread."""
        return {} if self.board is None else self._past_of(self.board, kpis, window)

    def _past_of(self, board: Board, kpis: Collection[str], window: str) -> dict[str, History]:
        """Those of the plan of a board: that of a config which was just loaded may lack its KPIs and windows."""
        at = board.evaluation.at
        kept_since = at - timedelta(seconds=self.config.store.retention_seconds)
        return self._histories.of(board.plan, kpis, window, at, kept_since)

    def kpis(self) -> Json:
        """The values that are published, for programs."""
        return self.board.rows if self.board else []
