"""What a mapping does not reach is counted, in metrics and on the page: unknown labels, and words no map has."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter import config
from exporter.catalogue import kpi
from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client
from exporter.collect.mapping import compiled, labelled
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.status import status
from exporter.connectors import CONNECTORS
from exporter.explain.summary import lacking
from exporter.records import Read, Request, Run
from exporter.records.columns import Rule, Rules
from exporter.store import Store
from tests.connectors.world import AT
from tests.polled import connector, source

ITEMS = [
    {"group": "IT Support", "site": "Berlin", "topic": "vpn"},
    {"group": "it support", "site": "Rome", "topic": "vpn"},
    {"group": "Sales", "site": None, "topic": "tax"},
    {"group": None, "site": "Oslo", "topic": None},
]
RULES: Rules = {
    "team": [Rule(field="group", map={"IT Support": "it"}), Rule(field="none", map={"x": "y"}, default="shared")],
    "region": [Rule(field="site", map={"Berlin": "emea", "Oslo": "emea"}, otherwise="other")],
    "request.category": [Rule(field="topic")],
    "requester": [Rule(field="group")],
    "run.owner": [Rule(field="group")],
}


async def poll(_client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
    yield Page([Read(Request(id=str(number)), item) for number, item in enumerate(ITEMS)], {})


def test_the_words_that_a_label_may_become_are_those_of_its_maps() -> None:
    rules: Rules = {
        "team": [Rule(field="a", map={"x": "it", "y": None}, default="shared"), Rule(value="rest")],
        "region": [Rule(field="a", map={"x": "emea"}), Rule(field="b")],
        "cohort": [Rule(field="a", map={"x": 1, "z": " wave  2 "}, otherwise="late")],
        "csat": [Rule(field="a")],
        "handled_by": [Rule(field="a", map={"bot": "automation"}, otherwise="human")],
        "kind": [Rule(field="a", map={"INC": "ticket"}, otherwise="service_request")],
        "channel": [Rule(field="a", map={"E-Mail": "email"}, otherwise="other")],
    }

    assert labelled(rules, Request) == {
        "team": frozenset({"it", "shared", "rest"}),
        "region": None,
        "cohort": frozenset({"1", "wave  2"}),
        "handled_by": frozenset({"assisted", "automation", "human"}),
        "kind": frozenset({"conversation", "service_request", "ticket"}),
        "channel": frozenset({"api", "chat", "email", "phone", "portal", "social", "web"}),
    }
    assert labelled({"run.owner": [Rule(field="a")]}, Run) == {"owner": None}
    assert labelled({"run.owner": [Rule(field="a")]}, Request) == {}


async def test_records_that_no_rule_reaches_are_counted_by_label(tmp_path: Path) -> None:
    health = Health(version="0")
    desk = source(
        connector(poll, (Request,)),
        mapping=compiled(RULES, (Request,)),
        labelled={Request: labelled(RULES, Request)},
    )
    with Store.open(tmp_path / "s.duckdb") as store:
        await poll_once(desk, store, health, AT)
        said = lacking(status(desk, store, AT))

    def counts(name: str) -> dict[str, float]:
        found = next(each for each in health.registry.collect() if each.name == f"outcome_source_{name}_records")
        return {each.labels["column"]: each.value for each in found.samples}

    assert counts("unmapped") == {"team": 1, "region": 2, "category": 1}
    assert counts("mapped") == {"team": 3, "region": 2, "category": 3}
    assert said.split(", ") == [
        "region in 50.0% of 4 request records",
        "team in 25.0% of 4 request records",
        "category in 25.0% of 4 request records",
    ]


async def test_where_the_config_fills_no_label_nothing_is_counted(tmp_path: Path) -> None:
    health, desk = Health(version="0"), source(connector(poll, (Request,)))
    with Store.open(tmp_path / "s.duckdb") as store:
        await poll_once(desk, store, health, AT)

        assert lacking(status(desk, store, AT)) == ""


@pytest.mark.parametrize(
    "given",
    [
        "type: files, path: a.csv, columns: { Group: team, Site: { to: region, map: { x: emea } }, '*': '' }",
        "type: files, path: a.csv, columns: { team: { from: Group }, region: { from: Site, map: { x: emea } } }",
        "type: rest, url: 'https://x.test', columns: { team: { from: g }, region: { from: s, map: { x: emea } } }",
        "type: rest, url: 'https://x.test', segments: { team: { from: g }, region: { from: s, map: { x: emea } } }",
    ],
)
def test_labels_count_wherever_the_config_fills_them(given: str, tmp_path: Path) -> None:
    path = tmp_path / "outcome.yaml"
    path.write_text(f"sources: [{{ name: a, record: request, {given} }}]\n")
    (read,) = config.load(path, kpi.catalogue(), CONNECTORS, {}).sources

    assert read.labelled == {Request: {"team": None, "region": frozenset({"emea"})}}
