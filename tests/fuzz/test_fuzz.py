"""Odd input at every door: nothing but our own errors may come of it. One seed is fixed, another is drawn and printed.

Bounded to a minute and a half in all. A finding prints the kind of error, where it came from and the payload.
"""

import copy
import csv
import io
import json
import os
import random
import secrets
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestServer

from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi
from exporter.collect import mapping
from exporter.collect.contract import needs
from exporter.collect.decode import decoded
from exporter.collect.http import Answer, Client, Dialect, Gone, HttpRequest, HttpSettings, SourceError
from exporter.config import load
from exporter.connectors import CONNECTORS
from exporter.connectors.files import Options as Files
from exporter.explain.query import Unexplained, question
from exporter.publish import backfill
from exporter.records import Read, Request
from exporter.records.columns import Rule
from exporter.store import Store
from exporter.store.left_out import Noted
from tests.connectors.files.suite import rows
from tests.connectors.source import HTTP_NAMES, connector, world
from tests.connectors.world import AT, SINCE
from tests.fuzz.mutation import encoded, misspelt, mutated

pytestmark = pytest.mark.slow

FIXED = 20261127
DRAWN = int(os.environ.get("FUZZ_SEED", secrets.randbelow(10**9)))
SEEDS = pytest.mark.parametrize("seed", [FIXED, DRAWN], ids=["fixed", "drawn"])
SECONDS = 2.5  # of each test and seed
LONGEST_SECONDS = 20.0  # what one payload may take


@dataclass
class Findings:
    """What came of the payloads of one test."""

    seed: int
    payloads: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    bad: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def payload(self, what: object, *ours: type[Exception]) -> Iterator[None]:
        """One payload: errors of ours are counted, all others are findings."""
        self.payloads += 1
        began = time.monotonic()
        try:
            yield
        except ours as error:
            self.kinds[type(error).__name__] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            self.bad.setdefault(kind, str(what)[:2000])
        if time.monotonic() - began > LONGEST_SECONDS:
            self.bad.setdefault("too slow", str(what)[:2000])

    def check(self, door: str) -> None:
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.kinds.most_common()) or "none"
        print(f"{door}: seed {self.seed}: {self.payloads} payloads, our errors: {kinds}, others: {len(self.bad)}")  # noqa: T201

        assert self.bad == {}, f"seed {self.seed}"
        assert self.payloads > 0


def while_time(seconds: float = SECONDS) -> Iterator[int]:
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1


MAPPING = {
    "team": [Rule(field="tags"), Rule(field="fields.team", match="(.*)")],
    "region": [Rule(field="deployment.name"), Rule(field="Queue.Name", map={"general": "emea"})],
    "human_seconds": [Rule(field="duration", unit="minutes"), Rule(field="total_run_time")],
    "csat": [Rule(field="CustomFields.Rating", scale=(1, 5))],
    "owner": [Rule(field="name")],
    "requester": [Rule(field="Requestor")],
    "reopen_count": [Rule(field="run_count"), Rule(field="id")],
    "owners": [Rule(field="tags")],
}


def kept(store: Store, source: str, reads: list[Read], client: Client, fillers: mapping.Fillers) -> None:
    """What the poller does with what a connector has read."""
    records, well, more = mapping.records(reads, fillers, store.person)
    noted = [Noted(each, mapping.team(each, fillers)) for each in (*client.left_out(), *more)]
    store.note(source, noted, [read.key for read in well], AT)
    store.write(source, records, {}, at=AT)
    store.unread(source).describe("item")


Asked = tuple[str, str]


class Recording(Client):
    """Keeps what a platform answers."""

    def __init__(self, settings: HttpSettings, dialect: Dialect, answers: dict[Asked, Answer]) -> None:
        super().__init__(settings, at=AT, since=SINCE, dialect=dialect)
        self.answers = answers

    async def _answer(self, question: HttpRequest) -> Answer:
        answer = await super()._answer(question)
        self.answers[asked(question)] = answer
        return answer


class Replaying(Client):
    """Answers as a platform did, but for one answer, which is odd. What nobody asked the platform is not there."""

    def __init__(self, url: str, dialect: Dialect, answers: Mapping[Asked, Answer], draw: random.Random) -> None:
        super().__init__(HttpSettings(url=url), at=AT, since=SINCE, dialect=dialect)
        self.answers, self.draw, self.sent = answers, draw, ""
        self.left = draw.choice((1, 1, 2, 2, 3, 4, 5, 8))

    async def _answer(self, question: HttpRequest) -> Answer:
        if (answer := self.answers.get(asked(question))) is None:
            raise Gone(f"{question.where}: not there")
        self.left -= 1
        if self.left == 0:
            self.sent = encoded(mutated(self.draw, answer.body))
            return replace(answer, body=decoded(self.sent.encode()))
        return replace(answer, body=copy.deepcopy(answer.body))

    def __str__(self) -> str:
        return self.sent


def asked(question: HttpRequest) -> Asked:
    place = question.url.query_string  # a link to the next page has its parameters there
    return question.where, json.dumps([place, question.params, question.json], sort_keys=True, default=str)


@SEEDS
@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_answers_of_platforms(name: str, seed: int, tmp_path: Path) -> None:
    draw, found, its = random.Random(f"{name} {seed}"), Findings(seed), world(name, tmp_path)
    fillers = mapping.compiled(MAPPING, connector(name).RECORDS)
    answers, cursors, dialect = dict[Asked, Any](), [dict[str, Any]()], needs(connector(name)).dialect
    assert its.app is not None
    async with TestServer(its.app) as server:
        settings = HttpSettings(url=str(server.make_url("")).rstrip("/") + its.path, auth=its.auth, attempts=1)
        for _ in range(2):  # the second poll goes on where the first ended
            async with Recording(settings, dialect, answers) as client:
                pages = [page async for page in connector(name).poll(client, its.options, cursors[-1])]
            cursors.append(dict(pages[-1].cursor))
    reads: list[tuple[Read, ...]] = []
    with Store.open(tmp_path / "fuzz.duckdb") as store:
        for number in while_time():
            replayed = Replaying(settings.url, dialect, answers, draw)
            with found.payload(replayed, SourceError):
                async for page in connector(name).poll(replayed, its.options, draw.choice(cursors)):
                    made, _, left_out = mapping.records(page.reads, fillers, store.person)
                    json.dumps(page.cursor)
                    reads.append(tuple(page.reads))
                    assert len(made) + sum(each.whole for each in left_out) == len(page.reads)
                if number % 40 == 0:  # writing takes longer than all the rest
                    kept(store, "fuzz", [read for page_reads in reads for read in page_reads], replayed, fillers)
                    reads.clear()
    found.check(name)


def as_csv(items: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    names = list(dict.fromkeys(str(name) for item in items for name in item))
    writer.writerow(names)
    writer.writerows([item.get(name) for name in names] for item in items)
    return out.getvalue()


@SEEDS
@pytest.mark.parametrize("form", ["json_lines", "csv"])
async def test_rows_of_files(form: str, seed: int, tmp_path: Path) -> None:
    draw, found = random.Random(f"{form} {seed}"), Findings(seed)
    path = tmp_path / f"rows.{'csv' if form == 'csv' else 'jsonl'}"
    settings, fillers = HttpSettings(url=""), mapping.compiled(MAPPING, [Request])
    with Store.open(tmp_path / "fuzz.duckdb") as store:
        for _ in while_time():
            items = (
                [row if isinstance(row, dict) else {"id": row} for row in mutated(draw, rows(0, 3)) or [{}]]
                if draw.random() < 2
                else []
            )
            text = as_csv(items) if form == "csv" else "\n".join(map(encoded, items)) + "\n"
            text = misspelt(draw, text) if draw.random() < 0.3 else text
            path.write_bytes(text.encode(errors="surrogatepass"))
            os.utime(path, (AT.timestamp() - 3600, AT.timestamp() - 3600))
            options = Files(path=str(path), record="request")
            with found.payload(text, SourceError):
                async with Client(settings, at=AT, since=SINCE) as client:
                    async for page in CONNECTORS["files"].poll(client, options, {}):
                        kept(store, "fuzz", list(page.reads), client, fillers)
    found.check(form)


CONFIGS = Path(__file__).parents[1] / "configs" / "valid"


@SEEDS
@pytest.mark.parametrize("how", ["values", "signs"])
def test_configs(how: str, seed: int, tmp_path: Path) -> None:
    draw, found = random.Random(f"{how} {seed}"), Findings(seed)
    good = [path.read_text() for path in sorted(CONFIGS.glob("*.yaml"))]
    catalogue, path = kpi.catalogue(), tmp_path / "outcome.yaml"
    for _ in while_time():
        text = draw.choice(good)
        text = yaml.safe_dump(mutated(draw, to_json(yaml.safe_load(text)))) if how == "values" else misspelt(draw, text)
        path.write_bytes(text.encode(errors="surrogatepass"))
        with found.payload(text, Mistakes):
            load(path, catalogue, CONNECTORS, Environment())
    found.check(f"config, {how}")


def to_json(value: Any) -> Any:
    """Without dates, which YAML has and JSON has not."""
    if isinstance(value, dict):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [to_json(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


EXPRESSIONS = (
    "resolved and not reopened",
    "handled_by = 'automation' and resolution_seconds < 3600",
    "case when csat >= 0.8 then 1 else 0 end",
    "coalesce(human_seconds, 0) / 60 > 5 or category in ('mail', 'chat')",
    "opened_at >= timestamp '2026-01-01' and team is not null",
)


@SEEDS
def test_expressions(seed: int, tmp_path: Path) -> None:
    draw, found = random.Random(f"expression {seed}"), Findings(seed)
    catalogue, path = kpi.catalogue(), tmp_path / "outcome.yaml"
    source = {"name": "desk", "type": "files", "path": "*.csv", "record": "request"}
    for _ in while_time():
        text = misspelt(draw, draw.choice(EXPRESSIONS))
        own = {
            "title": "Own", "help": "Share of requests.", "kind": "ratio", "facts": "request", "better": "higher",
            "placed_by": "resolved_at", "numerator": text,
            "denominator": draw.choice(["resolved", misspelt(draw, "ended")]),
        }  # fmt: skip
        config = {"sources": [source], "kpis": {"own_ratio": own}}
        path.write_text(yaml.safe_dump(config))
        with found.payload(text, Mistakes):
            load(path, catalogue, CONNECTORS, {})
    found.check("expressions")


@SEEDS
def test_queries(seed: int) -> None:
    draw, found = random.Random(f"query {seed}"), Findings(seed)
    config = load(CONFIGS / "smallest.yaml", kpi.catalogue(), CONNECTORS, Environment())
    good = {
        "kpi": "resolution_seconds",
        "window": "7d",
        "at": "2026-03-01T00:00:00Z",
        "page": "1",
        "size": "50",
        "team": "it",
    }
    chunk = {"first": "2026-03-01T00:00:00+00:00", "step": "3600", "count": "24"}
    for _ in while_time(SECONDS / 2):
        query = {str(key): as_text(value) for key, value in dict(mutated(draw, good) or {}).items()}
        with found.payload(query, Unexplained):
            question(query, config.plan)
        told = {str(key): as_text(value) for key, value in dict(mutated(draw, chunk) or {}).items()}
        with found.payload(told, backfill.BadRequestError):
            backfill.chunk_of(told)
    found.check("queries")


class Environment(dict[str, str]):
    """Has whatever is asked for."""

    def __missing__(self, name: str) -> str:
        return "https://example.test"

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, _default: Any = None) -> Any:
        return self[name]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else encoded(value)[:6000]
