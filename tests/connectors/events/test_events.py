"""CDEvents as their specification has them, and that nothing that was answered is lost."""

import asyncio
import json
import random
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector

from exporter.collect.delivery import Event
from exporter.collect.reading import ItemReader
from exporter.connectors.events import Options, cloudevent, read_event
from exporter.connectors.events.mapping import OUTCOME, RESOLUTION, TYPES
from exporter.store import Store
from tests import deadline
from tests.connectors.events.truth import STRUCTURED, cdevent, delivery
from tests.connectors.events.truth import cloudevent as wrapped
from tests.program import running
from tests.test_truth import SPECS

CDEVENTS = SPECS / "cdevents-0.5.1"
NO_RECORD = {
    *("artifact", "branch", "build", "environment", "repository", "taskrun", "testcaserun", "testsuiterun"),
    *("testoutput", "change.updated", "service.removed", "service.published"),
}
"""Subjects, and single types, of which no record is made."""


def published(folder: str) -> Iterator[Any]:
    if not CDEVENTS.exists():
        pytest.skip("cdevents-0.5.1 is not beside the repository")
    for path in sorted((CDEVENTS / folder).glob("*.json")):
        yield json.loads(path.read_text())


def test_every_event_of_the_conformance_suite_is_read_or_known_to_be_no_record() -> None:
    read, others = set[str](), set[str]()
    for event in published("conformance"):
        (found,) = cloudevent.events_of(delivery(wrapped(event)))
        reader = ItemReader()
        reads = reader.each([found], lambda each: read_event(Options(approved_by="reviewed"), each) or ())
        reads += reader.each([found], lambda each: read_event(Options(), each) or ())
        name = ".".join(found.type.split(".")[2:4])
        (read if reads else others).add(name)

        assert reader.left_out() == [], name
        assert all(each.part and each.part.at == found.at for each in reads), name

    assert read == TYPES.keys()
    assert {name for name in others if not {name, name.partition(".")[0]} & NO_RECORD} == set()


def test_the_words_are_those_of_the_schemas() -> None:
    words = dict[str, set[str]]()
    for schema in published("schemas"):
        content = schema["properties"]["subject"]["properties"]["content"]["properties"]
        type_ = ".".join(schema["properties"]["context"]["properties"]["type"]["default"].split(".")[2:4])
        for name in ("outcome", "resolution"):
            found = content.get(name, {})
            enums = [found, *found.get("anyOf", ()), *found.get("oneOf", ())]
            words[f"{type_} {name}"] = {word for each in enums for word in each.get("enum", ())}

    assert words["pipelinerun.finished outcome"] <= OUTCOME.keys()
    assert words["ticket.closed resolution"] <= RESOLUTION.keys()
    assert words["testsuiterun.finished outcome"] <= OUTCOME.keys()  # the outcome of a pipeline is a text there


def test_a_type_of_another_version_is_the_same_type() -> None:
    item = cdevent("pipelinerun.queued", 1, "1")
    item["context"]["type"] = "dev.cdevents.pipelinerun.queued.9.9.9"
    (event,) = cloudevent.events_of(delivery(wrapped(item)))

    assert isinstance(event, Event)
    assert read_event(Options(), event)


SENDERS = 8
ENOUGH = 60  # answers before the program is killed


class Answered(set[str]):
    """The events that were answered, and whether they are enough."""

    enough = 0

    def __init__(self) -> None:
        super().__init__()
        self.are_enough = asyncio.Event()


async def send(http: ClientSession, url: str, first: int, answered: "Answered") -> None:
    """Sends runs one after the other until nobody answers; a sender that gets no answer would send again."""
    headers = {"Authorization": "Bearer sesame", "Content-Type": STRUCTURED}
    for number in range(first, first + 100_000):
        data = {"id": f"{number}", "status": "failed"}
        event = {"specversion": "1.0", "id": f"{number}", "source": "/test", "type": "outcome.run", "data": data}
        with suppress(ClientError, OSError):
            async with http.post(f"{url}/events/flows", json=event, headers=headers) as response:
                assert response.status == 202
                await response.read()
                answered.add(str(number))
                if len(answered) >= answered.enough:
                    answered.are_enough.set()
                continue
        return


async def test_what_was_answered_survives_that_the_program_is_killed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sesame")
    (tmp_path / "secret").chmod(0o600)
    config = tmp_path / "outcome.yaml"
    config.write_text("store: {path: store.duckdb}\nsources:\n  - {name: flows, type: events, secret_file: secret}\n")
    answered, chance = Answered(), random.Random(20260331)
    for attempt in range(2):
        async with running(config) as program, ClientSession(connector=TCPConnector(limit=SENDERS)) as http:
            answered.enough = len(answered) + ENOUGH
            answered.are_enough.clear()
            sending = [
                asyncio.create_task(send(http, program.url, attempt * 10**7 + sender * 10**6, answered))
                for sender in range(SENDERS)
            ]
            async with deadline.within(30):
                await answered.are_enough.wait()
            await asyncio.sleep(chance.random() * 0.02)  # into or between transactions
            program.process.send_signal(signal.SIGKILL)
            await asyncio.gather(*sending)
    with Store.open(tmp_path / "store.duckdb") as store, store.reading() as reader:
        stored = {id_ for (id_,) in reader.execute("select id from run where status = 'failed'").fetchall()}

    assert answered - stored == set()
    assert len(stored - answered) <= 2 * SENDERS  # those whose answer was cut off
    assert re.search("sesame", "\n".join(program.log)) is None
