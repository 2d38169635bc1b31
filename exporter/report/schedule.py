"""Scheduled reports: each period once, as soon as it is over and has been read; those of a standstill afterwards.

What was written and sent is noted beside the store. A report that is there and not noted was written just before the
exporter ended: it is not written again. So none is missing, and none is there twice.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.collect.selfmetrics import ReportMetrics
from exporter.config import Config
from exporter.config.reports import Scheduled
from exporter.report.compute import report
from exporter.report.delivery import DeliveryError, Letter, deliveries
from exporter.report.pdf import PdfError, printed
from exporter.report.period import Span, span
from exporter.report.rendering import render
from exporter.store import Store, StoreError
from exporter.store.status import SourceStatus

log = logging.getLogger(__name__)

PATIENCE = timedelta(days=1)
"""How long a report waits for sources that have not been read to the end of its period; then it says so itself. It
begins with the first look that finds it due: after a first start, or a standstill, sources are still to be read.
"""
MOST_MISSED = 12
"""Reports of a standstill that are written afterwards."""
PAUSES = (5.0, 30.0)
"""Seconds before the second and the third attempt to deliver; what fails then is tried again at the next look."""
LOOK_SECONDS = 600.0
GRACE_SECONDS = 1.0
"""How long a delivery may take when the exporter ends; it is made again after the next start."""
WRITTEN, DELIVERED, WAITING = "written", "delivered", "waiting since"


@dataclass
class Schedule:
    """Writes and sends the reports of the config in use."""

    config: Callable[[], Config]
    store: Store
    sources: Callable[[datetime], Sequence[SourceStatus]]
    clock: Callable[[], datetime]
    metrics: ReportMetrics
    pauses: Sequence[float] = PAUSES
    grace: float = GRACE_SECONDS
    _stopping: threading.Event = field(default_factory=threading.Event)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None] | None" = None

    def start(self, alone: asyncio.Lock) -> None:
        """Looks from now on what is due. `alone`: one report is computed at a time."""
        self._task = asyncio.create_task(self._run(alone))

    async def stop(self) -> None:
        """Ends once the report that is under way is written; a delivery that hangs is not waited for."""
        self._stopping.set()
        self._wake.set()
        if self._task:
            await self._task

    async def _run(self, alone: asyncio.Lock) -> None:
        while not self._stopping.is_set():
            for each in self.config().reports:
                async with alone:
                    await asyncio.to_thread(self._write, each)
            await self._sent()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)

    async def _sent(self) -> None:
        """Sends in a thread that the end of the program does not wait for, as a server that hangs holds it for long."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def run() -> None:
            self.send()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=run, name="reports", daemon=True).start()
        ends = [asyncio.ensure_future(each.wait()) for each in (done, self._wake)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(ends[:1], timeout=self.grace)
        for each in ends:
            each.cancel()

    def write(self) -> None:
        """Writes all reports that are due."""
        for each in self.config().reports:
            self._write(each)

    def _write(self, each: Scheduled) -> None:
        self._each(WRITTEN, self._write_due, [each])

    def send(self) -> None:
        """Sends what has been written and not been sent, the oldest first."""
        self._each(DELIVERED, self._send_due, [each for each in self.config().reports if each.mail or each.webhook])

    def _each(self, step: str, act: Callable[[Scheduled], None], reports: Sequence[Scheduled]) -> None:
        """Nothing that goes wrong with one report keeps the others from being made."""
        for each in reports:
            self.metrics.known(each.name, step)
            try:
                act(each)
            except (StoreError, PdfError, DeliveryError, OSError) as error:
                self.metrics.failed(each.name, step)
                log.error("report %s is not %s, it is tried again later: %s", each.name, step, error)
            except Exception:
                self.metrics.failed(each.name, step)
                log.exception("report %s is not %s, it is tried again later", each.name, step)

    def _write_due(self, each: Scheduled) -> None:
        at = self.clock()
        for period in self._due(each, at):
            if self._stopping.is_set():
                return
            path = path_of(each, period.name)
            if not path.exists():
                config = self.config()
                made = report(config, self.store, period.name, each.reader, at, self.sources(at))
                text = render(made, "html" if each.format == "pdf" else each.format)
                each.folder.mkdir(parents=True, exist_ok=True)
                replace_with(path, printed(text) if each.format == "pdf" else text.encode())
                log.info("report %s: %s is written", each.name, path)
            self._note(each.name, WRITTEN, period.name)
            self._note(each.name, WAITING, "")
            self.metrics.succeeded(each.name, WRITTEN, at)

    def _due(self, each: Scheduled, at: datetime) -> list[Span]:
        """Periods that are over and have no report yet, the oldest first; at first only the last of them."""
        zone, last = ZoneInfo(self.config().time_zone), self._noted().get(each.name, {}).get(WRITTEN)
        found = [span(each.period, at - timedelta(seconds=each.delay_seconds), zone)]
        while last and found[0].name > last and len(found) <= MOST_MISSED:
            found.insert(0, span(each.period, found[0].begins_at, zone))
        due = [period for period in found if period.name > (last or "")]
        if len(due) > MOST_MISSED:
            log.warning("report %s: those before %s were missed, and are not written", each.name, due[1].name)
        return [period for period in due[-MOST_MISSED:] if self._read(period, at, each)]

    def _read(self, period: Span, at: datetime, each: Scheduled) -> bool:
        """Whether the sources have been read beyond a period, or have had time enough."""
        sources = self.sources(at)
        if all(one.complete and one.last_success and one.last_success >= period.ends_at for one in sources):
            return True
        waited = at - self._waiting_since(each, at)
        return waited >= 2 * PATIENCE or (waited >= PATIENCE and all(one.complete for one in sources))

    def _waiting_since(self, each: Scheduled, at: datetime) -> datetime:
        """Since when the report that is due waits. It is noted, so that a restart does not begin to wait anew."""
        noted = self._noted().get(each.name, {}).get(WAITING)
        if noted:
            return datetime.fromisoformat(noted)
        self._note(each.name, WAITING, at.isoformat())
        return at

    def _send_due(self, each: Scheduled) -> None:
        """Whom it is not delivered to does not keep it from the others."""
        failed = []
        for to, delivery in deliveries(each).items():
            try:
                for name in self._unsent(each, to):
                    self._deliver(each, name, delivery)
                    self._note(each.name, f"{DELIVERED} to {to}", name)
            except DeliveryError as error:
                failed.append(str(error))
        if failed:
            raise DeliveryError("; ".join(failed))

    def _deliver(self, each: Scheduled, name: str, delivery: Callable[[Letter], None]) -> None:
        for pause in (*self.pauses, None):
            try:
                delivery(letter(each, name))
                self.metrics.succeeded(each.name, DELIVERED, self.clock())
                return
            except DeliveryError as error:
                if pause is None or self._stopping.is_set():
                    raise
                self.metrics.failed(each.name, DELIVERED)
                log.warning("report %s: that of %s is sent again soon: %s", each.name, name, error)
                self._stopping.wait(pause)

    def _unsent(self, each: Scheduled, to: str) -> list[str]:
        noted = self._noted().get(each.name, {})
        last, sent = noted.get(WRITTEN, ""), noted.get(f"{DELIVERED} to {to}")
        files = sorted(path.name.split("-for-")[0] for path in each.folder.glob(path_of(each, "*").name))
        mine = [name for name in files if shape(name) == shape(last) and name <= last]
        # Who has got none before gets the last one only: nobody wants last year's on the day this is set up.
        return [name for name in mine if (name > sent if sent else name == last)]

    @property
    def _notes(self) -> Path:
        path = self.config().store.path
        return path.with_name(f"{path.name}.reports.json")

    def _noted(self) -> dict[str, dict[str, str]]:
        """Report -> step -> the name of the last period of which it is done."""
        try:
            found: dict[str, dict[str, str]] = json.loads(self._notes.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise OSError(f"{self._notes} is not what was noted ({error}); delete it, then the next is due") from None
        return found

    def _note(self, name: str, step: str, period: str) -> None:
        noted = self._noted()
        noted.setdefault(name, {})[step] = period
        replace_with(self._notes, json.dumps(noted, indent=2, sort_keys=True).encode())


def path_of(each: Scheduled, name: str) -> Path:
    """The file of a report: 2026-W38-for-operations.html."""
    return each.folder / f"{name}-for-{each.reader}.{each.format}"


def letter(each: Scheduled, name: str) -> Letter:
    """The report of a period as it is sent."""
    path = path_of(each, name)
    return Letter(
        id=f"{name}.{each.name}",
        title=f"Report of {name} for {each.reader}",
        file_name=path.name,
        form=each.format,
        content=path.read_bytes(),
    )


def shape(name: str) -> str:
    """The kind of a period's name: 2026-W38 is no 2026-09."""
    return "".join("0" if sign.isdigit() else sign for sign in name)


def replace_with(path: Path, content: bytes) -> None:
    """Writes a file so that it is there as a whole or not at all."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content)
    beside.replace(path)
