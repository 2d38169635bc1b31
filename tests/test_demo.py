"""The demo: what is simulated, what the fakes are told of it, and the whole of it from the command line."""

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exporter import config
from exporter.base import strict_yaml
from exporter.catalogue.kpi import catalogue
from exporter.config import read_config
from exporter.connectors import CONNECTORS
from exporter.demo import board, configuration, main, stack
from exporter.demo import organisation as org
from exporter.demo.screen import DemoError, opens
from exporter.demo.simulation import Simulation
from exporter.demo.stories import SERVED, TURNS, Execution, Story, Ticket, as_of, begins_at, turns
from exporter.demo.world import World
from exporter.evaluation.stats import wilson
from exporter.publish.cardinality import Limits
from exporter.records import Account, Booking, Change, Opportunity, Request
from exporter.render.dashboards import queries
from exporter.runtime import open_store
from tests import deadline
from tests.demo import END, figures_of, found_in

CHECKOUT = Path(__file__).parents[1]
RULES = sorted((CHECKOUT / "alerts").glob("*.rules.yaml"))
pytestmark = pytest.mark.slow  # months of an organisation are simulated


def simulated(seed: int = 1, end: datetime = END, days: int = 120) -> list[Story]:
    return list(Simulation(seed, end).history(days))


def test_the_same_seed_and_instant_tell_the_same_stories_and_another_seed_others() -> None:
    once, again, other = simulated(days=20), simulated(days=20), simulated(seed=2, days=20)

    assert once == again
    assert once != other


def test_live_stories_are_the_same_each_time_and_come_in_order_at_the_pace_of_the_history() -> None:
    week = timedelta(days=7)
    once = list(itertools.takewhile(lambda each: each[0] <= END + week, Simulation(1, END).live()))
    again = list(itertools.islice(Simulation(1, END).live(), len(once)))
    usual = Counter(type(story) for story in simulated() if END - week < begins_at(story) <= END)
    live = Counter(type(story) for _, story in once)

    assert once == again
    assert [at for at, _ in once] == sorted(at for at, _ in once)
    assert min(begins_at(story) for _, story in once if not isinstance(story, Change)) > END
    assert [kind for kind in (Execution, Ticket, Request) if not 0.8 < live[kind] / usual[kind] < 1.25] == []


def test_history_is_as_large_as_promised() -> None:
    stories = simulated()
    requests = sum(isinstance(story, Request | Ticket) for story in stories)
    attempts = sum(len(story.attempts) for story in stories if isinstance(story, Execution))
    bookings = sum(isinstance(story, Booking) for story in stories)

    assert 10_000 < requests < 20_000
    assert 15_000 < attempts < 30_000
    assert 2_000 < bookings < 3_500


@pytest.mark.parametrize(("seed", "weekday"), [(1, 0), (2, 3), (3, 5), (4, 6)])
def test_one_team_misses_meetings_and_one_escalates_beyond_doubt_on_any_day(seed: int, weekday: int) -> None:
    end = END + timedelta(days=weekday)
    stories = simulated(seed, end, days=40)
    missed = {team.name: no_shows(stories, team.name, end) for team in org.TEAMS if team.meetings}
    escalated = {team.name: escalations(stories, team.name, end) for team in org.TEAMS}
    kpis = catalogue()

    assert over(missed, kpis["no_show_ratio"].threshold.critical) == [org.NO_REMINDERS_TEAM]
    assert over(missed, kpis["no_show_ratio"].threshold.warning) == [org.NO_REMINDERS_TEAM]
    assert over(escalated, kpis["escalation_ratio"].threshold.critical) == [org.BAD_POLICY_TEAM]
    assert over(escalated, kpis["escalation_ratio"].threshold.warning) == [org.BAD_POLICY_TEAM]


def over(counts: dict[str, tuple[int, int]], level: float | None) -> list[str]:
    """The teams whose share lies above a level with 95 % certainty."""
    assert level is not None
    return [team for team, (some, all_) in counts.items() if wilson(some, all_)[0] > level]


def no_shows(stories: list[Story], team: str, end: datetime) -> tuple[int, int]:
    bookings = [story for story in stories if isinstance(story, Booking) and story.team == team]
    week = [b for b in bookings if b.starts_at and end - timedelta(days=7) < b.starts_at <= end]
    held = [b for b in week if b.outcome in ("attended", "no_show")]
    return sum(b.outcome == "no_show" for b in held), len(held)


def escalations(stories: list[Story], team: str, end: datetime) -> tuple[int, int]:
    ended: list[bool] = []
    for story in stories:
        at, escalated = None, False
        if isinstance(story, Request) and story.team == team:
            at, escalated = story.resolved_at or story.abandoned_at, story.escalated_at is not None
        elif isinstance(story, Ticket) and story.team.name == team:
            at, escalated = story.steps[-1].at, any(step.act == "move" for step in story.steps)
        if at and end - timedelta(days=7) < at <= end:
            ended.append(escalated)
    return sum(ended), len(ended)


def test_a_person_who_talked_to_the_bot_comes_back_by_ticket_within_72_hours_and_after() -> None:
    stories = simulated(days=60)
    solved = {
        (story.requester, story.category): story.resolved_at
        for story in stories
        if isinstance(story, Request) and story.handled_by == "automation" and story.resolved_at
    }
    tickets = [story for story in stories if isinstance(story, Ticket) and (story.requester, story.topic) in solved]
    waits = [begins_at(ticket) - solved[ticket.requester, ticket.topic] for ticket in tickets]

    assert sum(timedelta(0) < wait <= timedelta(hours=72) for wait in waits) > 20
    assert sum(timedelta(hours=72) < wait < timedelta(hours=200) for wait in waits) > 5


def test_a_deal_reaches_the_stages_that_its_meeting_went_through() -> None:
    stories = simulated(days=40)
    deals = {story.id: story for story in stories if isinstance(story, Opportunity)}
    meetings = [story for story in stories if isinstance(story, Booking) and story.opportunity_id]
    of = [(meeting, deals[meeting.opportunity_id or ""]) for meeting in meetings]

    assert len(meetings) > 300
    assert all((deal.booked_at, deal.contacted_at) == (m.booked_at, m.first_response_at) for m, deal in of)
    assert all((deal.attended_at == m.starts_at) == (m.outcome == "attended") for m, deal in of)
    assert any(deal.won_at for _, deal in of)
    assert len(deals) > len(meetings)


def test_trained_people_take_a_tool_up_more_often_than_the_control_group() -> None:
    accounts = [story for story in simulated(days=1) if isinstance(story, Account)]
    groups = {name: [a for a in accounts if a.cohort == name] for name in ("wave-1", "wave-2", "control")}
    taken_up = {name: sum(bool(a.first_success_at) for a in group) / len(group) for name, group in groups.items()}

    assert {(a.tool, a.team) for a in groups["control"]} == {(a.tool, a.team) for a in groups["wave-1"]}
    assert taken_up["control"] < taken_up["wave-1"] > 0.8


def test_a_record_never_tells_what_is_still_to_come() -> None:
    records = [story for story in simulated(days=10) if not isinstance(story, SERVED)]
    for record in records:
        for at in turns(record):
            told = replace(record, **as_of(record, at))
            known = [getattr(told, name) for name in TURNS[type(told)]]

            assert told.updated_at == at
            assert all(moment <= at for moment in known if moment)


def test_a_record_at_its_last_turn_is_the_whole_record() -> None:
    records = [story for story in simulated(days=10) if not isinstance(story, SERVED)]
    differing = [
        record
        for record in records
        for name in ("outcome", "result", "handled_by", "csat", "sentiment", "cancelled_by", "status", "review")
        if getattr(replace(record, **as_of(record, turns(record)[-1])), name, None) != getattr(record, name, None)
    ]

    assert differing == []


def made(world: World) -> tuple[int, ...]:
    """How much each platform has been told."""
    desks = world.servicenow.last, world.zendesk.last_ticket
    return world.n8n.last_id, world.prefect.made, *desks, world.calcom.last_id, world.github.last_id


def test_the_world_goes_on_and_says_so_on_every_platform(tmp_path: Path) -> None:
    world = World(Simulation(1, END), tmp_path / "records", days=10)
    conversations = tmp_path / "records" / "conversations.jsonl"
    before = *made(world), conversations.stat().st_size
    told = world.advance(END + timedelta(days=1))
    after = *made(world), conversations.stat().st_size

    assert told > 500
    assert all(b < a for b, a in zip(before, after, strict=True))


def test_the_platforms_hold_nothing_from_the_future(tmp_path: Path) -> None:
    world = World(Simulation(1, END), tmp_path / "records", days=10)
    stamps = [row["startedAt"] for row in world.n8n.executions.values()]
    stamps += [row["updated"] for row in world.prefect.runs.values()]
    stamps += [f"{row['sys_updated_on']}Z" for row in world.servicenow.tables["incident"].values()]
    stamps += [row["updated_at"] for row in world.zendesk.tickets.values()]
    stamps += [row["updatedAt"] for row in world.calcom.bookings.values()]
    stamps += [row["created_at"] for row in world.pagerduty.entries]
    for repository in world.github.repositories.values():
        stamps += [row["updated_at"] for row in repository.deployments.values()]
    for path in (tmp_path / "records").glob("*.jsonl"):
        stamps += [json.loads(line)["updated_at"] for line in path.read_text().splitlines()]

    assert len(stamps) > 2000
    assert max(datetime.fromisoformat(stamp) for stamp in stamps) <= END


def test_some_runs_hang_for_ever(tmp_path: Path) -> None:
    world = World(Simulation(1, END), tmp_path / "records", days=10)
    old = (END - timedelta(days=1)).isoformat()
    hanging = [row for row in world.n8n.executions.values() if row["status"] == "running" and row["startedAt"] < old]
    hanging += [r for r in world.prefect.runs.values() if r["state_type"] == "RUNNING" and r["start_time"] < old]

    assert len(hanging) == 3


def test_the_config_is_sound_and_its_secrets_are_for_nobody_else(tmp_path: Path) -> None:
    world = World(Simulation(1, END), tmp_path / "records", days=1)
    addresses = dict.fromkeys(world.platforms, "http://127.0.0.1:1")
    path = configuration.write(tmp_path, addresses, world.secrets, END)
    loaded = config.load(path, catalogue(), CONNECTORS, {})
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()}

    assert loaded.warnings == ()
    assert {*world.platforms, *configuration.FILES} == {source.name for source in loaded.sources}
    assert modes == {0o600}


def test_every_kpi_of_the_catalogue_has_figures_after_the_first_evaluation(demo_config: Path) -> None:
    evaluation = figures_of(demo_config, END)

    assert evaluation.absent == {}
    assert {figure.kpi for figure in evaluation.figures} == set(catalogue())


def test_the_demo_fits_the_limits_as_shipped_with_every_value_by_its_name(demo_config: Path) -> None:
    config = read_config(demo_config)
    with open_store(config) as store:
        made = found_in(config, store, END).published

    assert (config.limits, made.folded) == (Limits(), {})
    assert 20_000 < made.count <= Limits().series


JOINS = {
    "a ticket in ServiceNow and the run on n8n that opened it": """
        select count(*), count(r.id) from request t left join run r on r.source = 'n8n' and t.run_id = 'n8n/' || r.id
        where t.source = 'servicenow' and t.run_id is not null""",
    "a ticket in Zendesk and the run on n8n that opened it": """
        select count(*), count(r.id) from request t left join run r on r.source = 'n8n' and t.run_id = 'n8n/' || r.id
        where t.source = 'zendesk' and t.run_id is not null""",
    "an incident in PagerDuty and the change in GitHub or ServiceNow that caused it": """
        select count(*), count(c.id) from incident i
        left join change c on i.caused_by = case c.source when 'github' then c.id else c.reference end
        where i.source = 'pagerduty' and i.caused_by is not null""",
    "a meeting in Cal.com and the deal in the CRM that it is about": """
        select count(*), count(o.id) from booking b left join opportunity o on b.opportunity_id = o.id
        where b.source = 'calcom' and b.opportunity_id is not null""",
}
"""What one tool knows of a record in another: how many name one, and how many of those are found."""


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_what_one_tool_names_another_has(demo_config: Path, join: str) -> None:
    with open_store(read_config(demo_config)) as store, store.reading() as connection:
        [(named, found)] = connection.sql(join).fetchall()

    assert named == found > 10


def test_a_deployment_failed_by_the_incident_that_names_it_in_another_tool(demo_config: Path) -> None:
    figures = [each for each in figures_of(demo_config, END).figures if each.kpi == "change_failure_ratio"]
    linked = [number for each in figures for by, number in each.by if by == (("method", "explicit_link"),)]

    assert sum(linked) > 0


def test_only_the_waiting_of_kpi_alerts_is_shortened() -> None:
    shipped = [rule for path in RULES for group in strict_yaml.load(path).data["groups"] for rule in group["rules"]]
    ours = [
        rule
        for path in RULES
        for group in stack.hurried(strict_yaml.load(path).data)["groups"]
        for rule in group["rules"]
    ]
    changed = {rule["for"] for rule, before in zip(ours, shipped, strict=True) if rule != before}
    same = ("alert", "record", "expr", "labels", "annotations")

    assert changed == {stack.FOR}
    assert all(a.get(key) == b.get(key) for a, b in zip(ours, shipped, strict=True) for key in same)
    assert all("kpi" in rule["labels"] for rule, before in zip(ours, shipped, strict=True) if rule != before)


def test_every_receiver_of_the_shipped_alertmanager_becomes_the_demo_s_own() -> None:
    shipped = {
        "global": {"smtp_smarthost": "mail:25"},
        "route": {"receiver": "queue", "group_wait": "5m", "routes": [{"receiver": "pager", "repeat_interval": "4h"}]},
        "inhibit_rules": [{"equal": ["team"]}],
        "receivers": [{"name": "queue", "email_configs": [{"to": "a@example.com"}]}, {"name": "pager"}],
    }
    made = stack.alertmanager_config(shipped, "http://127.0.0.1:1")

    assert "global" not in made
    assert made["inhibit_rules"] == shipped["inhibit_rules"]
    assert made["route"]["group_wait"] == made["route"]["routes"][0]["group_wait"] == "1s"
    assert made["receivers"] == [
        {"name": "queue", "webhook_configs": [{"url": "http://127.0.0.1:1/queue"}]},
        {"name": "pager", "webhook_configs": [{"url": "http://127.0.0.1:1/pager"}]},
    ]


def test_the_table_adds_up_before_it_divides() -> None:
    metrics = board.Metrics.parse(
        'outcome_no_show_numerator{window="7d",team="a\\"b",channel="web"} 30.0\n'
        'outcome_no_show_denominator{window="7d",team="a\\"b",channel="web"} 40.0\n'
        'outcome_no_show_numerator{window="7d",team="c",channel="web"} 0.0\n'
        'outcome_no_show_denominator{window="7d",team="c",channel="web"} 100.0\n'
        'outcome_no_show_denominator{window="30d",team="c",channel="web"} 900.0\n'
        'outcome_no_show_denominator{window="7d",team="d",channel="web"} 60.0\n'
        'outcome_no_show_numerator{window="7d",team="d",channel="web"} 0.0\n'
    )

    assert board.shared(metrics, catalogue()["no_show_ratio"]) == (
        "No-show rate", "15.0%", "200", "> 15.0%", 'a\\"b 75.0%', "40", "CRITICAL",
    )  # fmt: skip


def test_no_team_of_a_few_records_is_called_the_worst() -> None:
    metrics = board.Metrics.parse(
        'outcome_no_show_numerator{window="7d",team="a",channel="web"} 15.0\n'
        'outcome_no_show_denominator{window="7d",team="a",channel="web"} 19.0\n'
        'outcome_no_show_numerator{window="7d",team="b",channel="web"} 0.0\n'
        'outcome_no_show_denominator{window="7d",team="b",channel="web"} 1.0\n'
    )

    assert board.shared(metrics, catalogue()["no_show_ratio"]) == ("No-show rate", "75.0%", "20", "> 15.0%", "", "", "")
    assert board.worst(metrics, catalogue()) == ""


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(DemoError, match="holds other files"):
        main.empty(tmp_path)

    assert (tmp_path / "thesis.txt").read_text() == "the only copy"


def test_an_earlier_demo_s_folder_is_begun_anew(tmp_path: Path) -> None:
    (main.empty(tmp_path) / "config.yaml").write_text("old")
    main.empty(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [main.MARK]


# --- The whole of it --------------------------------------------------------------------------------------------------


class Running:
    """A demo that runs as a program of its own, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process, self.said = process, ""

    async def until(self, pattern: str, within: float) -> re.Match[str]:
        """What it says, as soon as it does. `within`: seconds, on a machine with nothing else to do."""
        assert self.process.stdout
        async with deadline.within(within):
            while not (match := re.search(pattern, self.said)):
                chunk = await self.process.stdout.read(4096)
                assert chunk, f"it ended without saying {pattern!r}:\n{self.said}"
                self.said += chunk.decode()
        return match

    async def end(self, number: int = signal.SIGINT) -> int:
        """Its exit code after a signal; what it says meanwhile is read too."""
        assert self.process.stdout
        self.process.send_signal(number)
        async with deadline.within(30):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()


@asynccontextmanager
async def running(folder: Path, path: str) -> AsyncIterator[Running]:
    """The demo with a search path for programs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exporter", "demo", "--no-history", "--directory", str(folder),
        cwd=CHECKOUT, env={**os.environ, "PATH": path},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def children_of(folder: Path) -> list[str]:
    """The command lines of programs that were given something in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


async def evaluated_rules(http: aiohttp.ClientSession, prometheus: str) -> list[dict[str, Any]]:
    """Every rule, as soon as each has been evaluated."""
    while True:
        async with http.get(f"{prometheus}/api/v1/rules") as response:
            groups = (await response.json())["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        if all(rule["health"] != "unknown" for rule in rules):
            return rules
        await asyncio.sleep(1)


VARIABLES = {
    "datasource": "prometheus",
    "job": ".+",
    "team": ".+",
    "segment": ".+",
    "split": "channel",
    "baseline": "previous",
    "currency": "EUR",
    "window": "30d",
    "basis": "calendar",
    "kpi": "escalation_ratio",
    "stem": "escalation",
}
"""What dashboards are opened with."""
EMPTY_WHERE_ALL_IS_WELL = {
    "KPIs without values",
    "Why there is none",
    "Labels without values",
    "What could not be read",
    "Calls to sources that did not succeed",
}
EMPTY_AT_FIRST = {"The last whole day beside the same weekday of eight weeks"}
"""A day of them is worked out with each evaluation."""


def panels() -> dict[tuple[str, str], list[str]]:
    """The queries of every panel of every dashboard, by (dashboard, title)."""
    found: dict[tuple[str, str], list[str]] = {}
    for file in sorted((CHECKOUT / "dashboards").glob("*.json")):
        for title, expr in queries(json.loads(file.read_text()), VARIABLES):
            found.setdefault((file.stem, title), []).append(expr)
    return found


async def answer(http: aiohttp.ClientSession, prometheus: str, expr: str) -> list[Any]:
    async with http.post(f"{prometheus}/api/v1/query", data={"query": expr}) as response:
        body = await response.json()
    assert body["status"] == "success", (expr, body)
    return list(body["data"]["result"])


async def empty_panels(http: aiohttp.ClientSession, prometheus: str) -> set[tuple[str, str]]:
    """The panels without data that should have some, as soon as there are none: Prometheus scrapes every 5 s."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        empty = set()
        for (dashboard, title), exprs in panels().items():
            answers = [await answer(http, prometheus, expr) for expr in exprs]
            if not any(answers) and title not in EMPTY_WHERE_ALL_IS_WELL | EMPTY_AT_FIRST:
                empty.add((dashboard, title))
        if not empty or asyncio.get_running_loop().time() > deadline:
            return empty
        await asyncio.sleep(1)


async def exposition(http: aiohttp.ClientSession, demo: "Running") -> bytes:
    address = (await demo.until(r"Metrics +(http://\S+)", within=60))[1]
    async with http.get(address) as response:
        return await response.read()


def lint(exposed: bytes) -> str:
    """What promtool has to say against it."""
    found = subprocess.run(["promtool", "check", "metrics"], input=exposed, capture_output=True, check=False)
    return found.stdout.decode() + found.stderr.decode()


async def test_without_prometheus_the_demo_says_so_shows_figures_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    async with running(tmp_path / "demo", path=str(tmp_path)) as demo:
        await demo.until("Left out, because not installed: prometheus, alertmanager", within=120)
        await demo.until(r"pagerduty +\d+ s ago", within=10)
        async with aiohttp.ClientSession() as http:
            metrics = board.Metrics.parse((await exposition(http, demo)).decode())
            opened = {link: await opens(http, link) for link in re.findall(r"http://\S+", demo.said)}
        code = await demo.end()

    assert code == 0
    assert list(opened.values()) == [True] * 4  # overview, all KPIs, the worst explained, metrics
    assert re.search(r"Escalation rate .* finance .* CRITICAL", demo.said)
    assert re.search(r"No-show rate .* sales-us .* CRITICAL", demo.said)
    assert metrics.by("outcome_source_up", "source") == dict.fromkeys(
        (
            (name,)
            for name in (
                "n8n",
                "prefect",
                "servicenow",
                "zendesk",
                "calcom",
                "github",
                "pagerduty",
                *configuration.FILES,
            )
        ),
        1.0,
    )
    assert children_of(tmp_path / "demo") == []


@pytest.mark.real
async def test_with_prometheus_and_alertmanager_both_alerts_arrive_and_nothing_is_left_running(tmp_path: Path) -> None:
    if stack.programs().missing:
        pytest.skip(f"not installed: {', '.join(stack.programs().missing)}")
    folder = tmp_path / "demo"
    async with running(folder, path=os.environ["PATH"]) as demo:
        await demo.until("ALERT firing CRITICAL OutcomeEscalationRateHigh: .*finance", within=150)
        await demo.until("ALERT firing CRITICAL OutcomeNoShowRateHigh: .*sales-us", within=60)
        address = (await demo.until(r"Prometheus +(http://\S+)", within=60))[1]
        async with aiohttp.ClientSession() as http:
            rules = await evaluated_rules(http, address)
            empty = await empty_panels(http, address)
            linted = await asyncio.to_thread(lint, await exposition(http, demo))
        meanwhile = children_of(folder)
        code = await demo.end()

    assert code == 0
    assert {rule["health"] for rule in rules} == {"ok"}
    assert len(rules) > 50
    assert empty == set()
    assert linted == ""
    assert len(meanwhile) >= 3
    assert children_of(folder) == []


@pytest.mark.real
async def test_a_demo_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    if stack.programs().missing or not shutil.which("setpriv"):
        pytest.skip("not installed: prometheus, alertmanager and setpriv are needed")
    folder = tmp_path / "demo"
    async with running(folder, path=os.environ["PATH"]) as demo:
        await demo.until(r"Prometheus +http://", within=120)
        await demo.end(signal.SIGKILL)
        async with deadline.within(20):
            while children_of(folder):  # noqa: ASYNC110 - other programs give no event
                await asyncio.sleep(0.1)

    assert children_of(folder) == []
