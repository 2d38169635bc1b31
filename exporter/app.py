"""The running program: loads the config, opens the store, polls, evaluates, publishes and stops."""

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from exporter import __version__
from exporter.answers import Answers
from exporter.base import strict_yaml
from exporter.base.clock import now
from exporter.base.defaults import MOST_CONNECTIONS
from exporter.collect.poll import Show
from exporter.collect.poller import Poller
from exporter.collect.receive import Inbox
from exporter.collect.selfmetrics import Health
from exporter.config import Config, read_config
from exporter.evaluation.figure import Evaluation
from exporter.publish import backfill
from exporter.publish.exposition import Publisher, own_families
from exporter.publish.families import Series, series
from exporter.publish.otlp import Otlp
from exporter.report.schedule import Schedule
from exporter.runtime import TRIES, Clock, Memory, StoppedError, evaluated, first_published, open_store
from exporter.server import Server, Surface
from exporter.server.board import Board
from exporter.server.gate import Gate
from exporter.server.places import possible
from exporter.server.reach import Reach
from exporter.store import StoreError
from exporter.store.retention import Retention

log = logging.getLogger(__name__)

FORGOTTEN = "its records do not count; give it its name back, or remove them with: outcome-exporter erase --source NAME"
EAGER_SECONDS = 2.0  # how often to evaluate while a first sync is under way
EAGER_RESTS = 3  # ... and how many times as long as an evaluation to rest from it, for it slows the sync


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of the command line about listening."""

    addresses: Sequence[str]
    reach: Reach = field(default_factory=Reach)
    most_connections: int = MOST_CONNECTIONS
    web_file: Path | None = None
    lifecycle: bool = False


class App:
    """The running exporter."""

    def __init__(
        self, path: Path, config: Config, options: ServeOptions, *, clock: Clock = now, show: Show | None = None
    ):
        self.path, self.config, self.options, self.clock = path, config, options, clock
        self.store = open_store(config, tries=TRIES)
        self.health = Health(version=__version__)
        self._changed = asyncio.Event()
        self.poller = Poller(self.store, self.health, clock=clock, show=show, read_once=self._changed.set)
        self.inbox = Inbox(self.store, self.health, clock)
        self.publisher = Publisher(
            self.health.registry, seconds=time.monotonic, refused=lambda: self.health.evaluation.failed(0.0)
        )
        self.otlp: Otlp | None = None
        self.board: Board | None = None
        self._loaded_at, self._not_reloaded = clock(), ""  # the config in use, and why a newer one is not
        self.urls: list[str] = []
        self._stopping = asyncio.Event()
        self._retention = Retention(self.store)
        self._trouble: StoreError | None = None
        self._failed = False  # the last evaluation
        self._memory = Memory(stopping=self._stopping.is_set)
        self.answers = Answers(self.store, self.poller, clock, lambda: self.config, lambda: self.board)
        self._reloading = asyncio.Lock()

    @property
    def evaluation(self) -> Evaluation | None:
        """What is published."""
        return self.board.evaluation if self.board else None

    async def run(self, ready: Callable[["App"], Awaitable[None]] | None = None) -> None:
        """Runs from start to stop(). `ready` is called once the first values are published."""
        async with AsyncExitStack() as stack:
            stack.callback(self.store.close)
            stack.callback(self.answers.close)
            gate = Gate(self.options.web_file)
            server = Server(self._surface(), gate, possible(self.options.most_connections))
            stack.push_async_callback(self.inbox.stop)
            self.urls = await server.start(self.options.addresses, self.config.store.path)
            stack.push_async_callback(server.stop)
            stack.push_async_callback(self.poller.stop)
            self._start_otlp()
            stack.push_async_callback(self._stop_otlp)
            schedule = Schedule(lambda: self.config, self.store, self.poller.statuses, self.clock, self.health.reports)
            stack.push_async_callback(schedule.stop)
            self.health.reload.succeeded(self.clock())
            self.health.evaluation.configured(self.config.evaluation_interval_seconds, self.config.limits.series)
            for warning in self.config.warnings:
                log.warning("%s", warning)
            if os.geteuid() == 0:
                log.warning("running as root, which is not needed: run it as a user of its own")
            log.info("listening on %s", ", ".join(self.urls))
            await self._apply(self.config)
            schedule.start(self.answers.reporting)
            evaluating = asyncio.create_task(self._keep_evaluated(ready))
            await asyncio.wait(
                [evaluating, asyncio.create_task(self._stopping.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            evaluating.cancel()
            with suppress(asyncio.CancelledError):
                await evaluating
            log.info("stopping")

    def stop(self) -> None:
        """Ends run()."""
        self._stopping.set()

    async def reload(self) -> str | None:
        """Reads the config again. Returns None if it is in force now, otherwise why the old one stays."""
        async with self._reloading:
            try:
                config = await asyncio.to_thread(read_config, self.path)
                if config.store != self.config.store:
                    raise ValueError("store: changes of this section need a restart")
            except (strict_yaml.Mistakes, ValueError) as error:
                self.health.reload.failed()
                self._not_reloaded = str(error)
                log.error("the config is not reloaded; the previous one stays in use: %s", error)
                return str(error)
            await self._apply(config)
            pushes_elsewhere = config.otlp != self.config.otlp
            self.config = config
            self.health.evaluation.configured(config.evaluation_interval_seconds, config.limits.series)
            if pushes_elsewhere:
                await self._stop_otlp()
                self._start_otlp()
            self.health.reload.succeeded(self.clock())
            self._loaded_at, self._not_reloaded = self.clock(), ""
            self._changed.set()
            log.info("config reloaded")
            return None

    async def _apply(self, config: Config) -> None:
        """Polls, and receives for, these sources from now on."""
        await self.poller.apply(config.sources)
        self.inbox.apply(config.sources)
        with suppress(StoreError):
            configured = {source.name for source in config.sources}
            for name in await asyncio.to_thread(self.store.sources):
                if name not in configured:
                    log.warning("source %s is stored and not in the config: %s", name, FORGOTTEN)
        for source in config.sources:
            if source.door:
                log.info("source %s: receives at %s%s", source.name, self.options.reach.prefix, source.route)

    async def _keep_evaluated(self, ready: Callable[["App"], Awaitable[None]] | None) -> None:
        while True:
            began = time.monotonic()
            eager = await self._evaluate()
            if self.evaluation and ready:
                await ready(self)
                ready = None
            took = time.monotonic() - began
            interval = EAGER_SECONDS if eager else self.config.evaluation_interval_seconds
            # An evaluation that takes long must not take the machine, least of all from a first sync.
            wait = max(interval - took, EAGER_RESTS * took if eager else took, 0.1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)
            self._changed.clear()

    async def _evaluate(self) -> bool:
        """Evaluates and publishes once. Returns whether a first sync was still under way; no error ends the process."""
        began, at = time.monotonic(), self.clock()
        trouble: StoreError | None = None
        try:
            trouble = await asyncio.to_thread(self.store.trouble)
            board, published = await asyncio.to_thread(self._figures, at)
            self._failed = not await self.publisher.swap(published.snapshot)
            if not self._failed:
                self.board = board
                seconds = time.monotonic() - began
                self.health.evaluation.succeeded(
                    at, seconds, series=published.count, folded=published.folded, shortened=published.spread_levels
                )
                if self.otlp:
                    await self.otlp.swap(published.snapshot.families)
            await asyncio.to_thread(board.prepare)
            await asyncio.to_thread(self._keep_house, at)
            return not all(each.complete for each in board.sources)
        except StoppedError:
            return False
        except Exception as error:
            self._failed = True
            self.health.evaluation.failed(time.monotonic() - began)
            if isinstance(error, StoreError):
                trouble = error
            else:
                log.exception("no evaluation")
            return False
        finally:
            self._report_trouble(trouble)

    def _figures(self, at: datetime) -> tuple[Board, Series]:
        config = self.config
        sources = self.poller.statuses(at)
        evaluation = evaluated(config, self.store, at, sources, memory=self._memory)
        published = series(evaluation, config.plan, config.limits)
        board = Board(
            evaluation=evaluation,
            plan=config.plan,
            sources=sources,
            series=published.count,
            most_series=config.limits.series,
            combined=published.folded,
        )
        return board, published

    def _report_trouble(self, trouble: StoreError | None) -> None:
        """Counts a fault of the store each time and logs it once; the values known so far are still served."""
        self.health.store.looked_at(trouble.kind if trouble else None)
        if trouble and str(trouble) != str(self._trouble):
            log.error("%s; the values known so far are still served", trouble)
        elif self._trouble and not trouble:
            log.info("the store's file is usable again")
        self._trouble = trouble

    def _keep_house(self, at: datetime) -> None:
        if self._trouble:
            return
        retention = timedelta(seconds=self.config.store.retention_seconds)
        self.health.store.deleted(self._retention.round(at, retention))
        self._retention.clean()
        self.health.store.measured(self.store.counts(), self.store.size())
        if self.evaluation:
            self.health.evaluation.published(first_published(self.config, self.store, self.evaluation))

    def _start_otlp(self) -> None:
        if self.config.otlp:
            self.otlp = Otlp(
                self.config.otlp,
                attempted=self.health.otlp.attempted,
                failed=self.health.otlp.failed,
                rejected=self.health.otlp.rejected,
                own=lambda: own_families(self.health.registry),
            )

    async def _stop_otlp(self) -> None:
        if self.otlp:
            await self.otlp.stop()
            self.otlp = None

    def _surface(self) -> Surface:
        return Surface(
            publisher=self.publisher,
            version=__version__,
            now=self.clock,
            ready=lambda: self.evaluation is not None and not self._stopping.is_set(),
            state=self._state,
            trouble=lambda: f"{self._trouble.what}; {self._trouble.remedy}" if self._trouble else None,
            overview=lambda: self.answers.overview(self._not_reloaded, self._loaded_at),
            kpis=self.answers.kpis,
            cards=lambda query: self.answers.cards(query, self._state()),
            explain=self.answers.explain,
            report=self.answers.report,
            local_routes={backfill.ROUTE: self.answers.past},
            reload=self.reload,
            lifecycle=self.options.lifecycle,
            inbox=self.inbox,
            reach=self.options.reach,
        )

    def _state(self) -> str:
        if self._stopping.is_set():
            return "stopping"
        if self.board is None:
            return f"starting: the first evaluation {'failed; see the log' if self._failed else 'is under way'}"
        return f"the last evaluation failed, see the log; values are of {self.board.at}" if self._failed else "running"


async def serve(path: Path, options: ServeOptions, *, show: Show | None = None) -> None:
    """`run`: until SIGTERM or SIGINT; SIGHUP reloads. Raises strict.Mistakes, StoreError or listen.ListenError."""
    # Polls make many objects and no cycles: looking for cycles as often as Python does takes a third of their time.
    gc.set_threshold(100_000, 20, 20)
    app = App(path, read_config(path), options, show=show)
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[str | None]] = set()

    def reload() -> None:
        task = asyncio.create_task(app.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    def stop() -> None:
        app.stop()
        # A second signal ends the process at once.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await app.run()
