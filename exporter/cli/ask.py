"""Answers of the running exporter, or of its store if no exporter is running."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from exporter import runtime
from exporter.base import strict_yaml
from exporter.base.clock import now
from exporter.config import Config, section
from exporter.evaluation.range import Instants
from exporter.explain.query import LARGEST_SIZE, question
from exporter.explain.summary import rows
from exporter.publish import backfill
from exporter.report.compute import report
from exporter.report.rendering import asked, render
from exporter.runtime import TRIES, evaluated, open_store, pause, statuses
from exporter.server import Refusal
from exporter.server.ask import ask, ask_bytes
from exporter.store import Store
from exporter.store.fault import InUse

HEALTH_SECONDS = 5.0


def known(config: Config) -> Any:
    """The present value of every KPI, as rows."""

    def from_store() -> Any:
        with open_store(config) as store:
            moment = now()
            sources = statuses(config, store, moment)
            return rows(evaluated(config, store, moment, sources), config.plan, sources)

    return answered(lambda: asyncio.run(ask(config.store.path, "/api/v1/kpis")), from_store)


def answered(running: Callable[[], Any], from_store: Callable[[], Any], pause: Callable[[], None] = pause) -> Any:
    """What the running exporter says, or else what the store holds. One that is starting has its store open before it
    answers, so it is asked again. Raises Refusal or StoreError."""
    for _ in range(TRIES):
        if (found := running()) is not None:
            return found
        try:
            return from_store()
        except InUse:
            pause()
    return from_store()


def health(config_path: Path, path: str) -> str:
    """The health that the exporter running on a config reports. Raises Refusal if it is not healthy or not running.

    Of the config only the place of the store is read: a mistake made in it meanwhile is no fault of what is running.
    """
    data = strict_yaml.read_yaml(config_path)[0].data
    store = data.get("store") if isinstance(data, dict) else None
    name = store.get("path") if isinstance(store, dict) else None
    beside = config_path.parent / str(name or section.StoreSection().path)
    answer = asyncio.run(ask_bytes(beside, path, seconds=HEALTH_SECONDS))
    if answer is None:
        raise Refusal(503, f"no exporter runs on the store {beside}")
    return answer.decode().strip()


def explained(config: Config, query: Mapping[str, str]) -> dict[str, Any]:
    """Explains a value, ready for JSON. Raises Unexplained or Refusal."""

    def from_store() -> dict[str, Any]:
        with open_store(config) as store:
            wanted = question(query, config.plan, most=LARGEST_SIZE)
            at = wanted.at or now()
            return runtime.explained(config, store, at, statuses(config, store, at), wanted)

    path = f"/api/v1/explain?{urlencode(query)}"
    answer: dict[str, Any] = answered(lambda: asyncio.run(ask(config.store.path, path)), from_store)
    return answer


@contextmanager
def past(config: Config, labels: backfill.Labels) -> Iterator[Callable[[Instants], Sequence[Sequence[str]]]]:
    """Gives the values at past times, chunk by chunk, with these labels besides their own.

    If no exporter runs, the store is opened once. Raises Refusal or BadRequestError.
    """
    with ExitStack() as opened:
        store: Store | None = None

        def lines_of(chunk: Instants) -> Sequence[Sequence[str]]:
            nonlocal store
            if store is None:
                path = f"{backfill.ROUTE}?{urlencode(backfill.query(chunk, labels))}"
                lines = asyncio.run(ask(config.store.path, path, seconds=None))
                if isinstance(lines, list):
                    return lines
                store = opened.enter_context(open_store(config))
            return runtime.past(config, store, statuses(config, store, now()), chunk, labels)

        yield lines_of


def reported(config: Config, period: str, reader: str, form: str) -> str:
    """A report as text. Raises NoSuchPeriod or Refusal."""
    query = {"period": period, "for": reader}

    def running() -> str | None:
        path = f"/report?{urlencode({**query, 'format': form})}"
        body = asyncio.run(ask_bytes(config.store.path, path, seconds=None))
        return None if body is None else body.decode()

    def from_store() -> str:
        with open_store(config) as store:
            return render(report(config, store, *asked(query), now()), form)

    text: str = answered(running, from_store)
    return text
