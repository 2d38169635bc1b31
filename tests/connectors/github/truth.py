"""What workflow runs, deployments and workflows of GitHub are: items as its API writes them, and their records."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from exporter.connectors.github.mapping import CONCLUSION, ENABLED, RESULT, STATUS
from exporter.demo.fakes.github import GitHub
from exporter.demo.fakes.github_answers import Row, account, text
from exporter.records import Change, Record, Run, Workflow
from exporter.records.columns import Rule
from tests.connectors.truth import NO_TIME, Enum, Truth, rewritten
from tests.connectors.world import AT

SPEC, SCHEMAS = "github-actions-deployments-releases.trimmed.json", "components/schemas"
ENUMS = (
    Enum(
        SPEC,
        "components/parameters/workflow-run-status/schema/enum",
        {**STATUS, **CONCLUSION, "completed": "how it was concluded"},
        beyond={"startup_failure": "of GraphQL's CheckConclusionState; one cannot ask for it"},
    ),
    Enum(
        SPEC,
        f"{SCHEMAS}/deployment-status/properties/state/enum",
        RESULT,
        beyond={"waiting": "of GraphQL's DeploymentStatusState: it waits for an approval"},
    ),
    Enum(SPEC, f"{SCHEMAS}/workflow/properties/state/enum", ENABLED),
)
TECHNICAL = {"page_size"}

REPO = "acme/shop"
WEB = f"https://github.com/{REPO}"
MONTH = timedelta(days=30)
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
EDITED = datetime(2026, 3, 2, tzinfo=UTC)


def at(number: int, second: int = 0) -> datetime:
    """A second of the minute that belongs to an item of this number."""
    return NOON + timedelta(minutes=number, seconds=second)


class Shop:
    """One repository with one workflow, `Deploy`."""

    def __init__(self) -> None:
        self.github = GitHub(last_id=0)
        self.github.add_repository(REPO, EDITED, topics=("unit-retail",), team="web")
        self.workflow = self.github.add_workflow(REPO, "Deploy", EDITED)
        self.its = self.github.repositories[REPO]

    def run(self, number: int, status: str, conclusion: str | None = None, **changes: Any) -> None:
        """A run that was created at second 0 of its minute, and last changed at second 40."""
        run = self.github.start(REPO, self.workflow, at(number))
        self.github.move(REPO, run, at(number, 40), status, conclusion)
        (row,) = self.its.runs.pop(run)
        self.its.runs[number] = [row | {"id": number} | changes]

    def deployment(self, number: int, statuses: Sequence[str], sha: str = "", **changes: Any) -> None:
        """A deployment that was asked for at second 0 of its minute; its statuses came at seconds 10, 20 and so on."""
        key = self.github.deploy(REPO, sha or f"c{number}", "production", at(number))
        self.its.deployments[number] = self.its.deployments.pop(key) | {"id": number} | changes
        self.its.statuses[number] = self.its.statuses.pop(key)
        for place, state in enumerate(statuses, 1):
            moment = text(at(number, 10 * place))
            self.its.statuses[number].append(
                {"id": place, "state": state, "created_at": moment, "log_url": f"{WEB}/actions/runs/1/job/{place}"}
            )
            self.its.deployments[number]["updated_at"] = moment

    def commit(self, key: str, second: int, *parents: str, number: int = 0) -> None:
        made = self.github.commit(REPO, at(number, second), *parents)
        self.its.commits[key] = self.its.commits.pop(made) | {"sha": key}

    def truth(self, what: str, records: Sequence[Record], **others: Any) -> Truth:
        others |= {
            "secret": ("token", self.github.token),
            "options": {"repositories": [REPO], **others.get("options", {})},
        }
        return Truth(what=what, app=self.github.app(), records=records, **others)


DEPLOY = Workflow(
    id="14",
    url=f"{WEB}/actions/workflows/deploy.yml",
    updated_at=EDITED,
    name=f"{REPO}/Deploy",
    enabled=True,
    exportable=True,
)


def run(number: int, **columns: Any) -> Run:
    """A run that succeeded, but for what is said of it."""
    usual = {
        "id": str(number),
        "url": f"{WEB}/actions/runs/{number}",
        "updated_at": at(number, 40),
        "workflow": f"{REPO}/Deploy",
        "root_id": str(number),
        "attempt": 1,
        "started_at": at(number),
        "finished_at": at(number, 40),
        "status": "succeeded",
        "exception": "none",
        "human_override": False,
        "trigger": "push",
    }
    return Run(**{**usual, **columns})


def change(number: int, **columns: Any) -> Change:
    """A deployment that succeeded at second 20 and of whose commits nothing is known, but for what is said of it."""
    usual = {
        "id": str(number),
        "reference": f"c{number}",
        "url": f"{WEB}/actions/runs/1/job/2",
        "updated_at": at(number, 20),
        "requested_at": at(number),
        "deployed_at": at(number, 20),
        "result": "succeeded",
        "service": "shop",
        "environment": "production",
        "kind": "deployment",
        "automated": True,
    }
    return Change(**{**usual, **columns})


WAITS: dict[str, Any] = {"status": "waiting", "exception": None, "started_at": None, "finished_at": None}
FAILED: dict[str, Any] = {"status": "failed", "exception": "application"}


def truths(_folder: Path) -> Iterator[Truth]:
    yield words_of_runs()
    yield what_the_config_finds()
    yield workflows()
    yield states_of_deployments()
    yield who_deploys()
    yield approvals_that_time_out()
    yield attempts()
    yield what_deployments_bring()
    yield environments()
    yield what_cannot_be_read()


def words_of_runs() -> Truth:
    """Every status and conclusion. What waits for a runner is in a queue; what waits for a person is in none."""
    shop = Shop()
    shop.run(1, "requested")
    shop.run(2, "queued")
    shop.run(3, "pending")
    shop.run(4, "waiting")
    shop.run(5, "in_progress")
    for number, conclusion in enumerate(CONCLUSION, 6):
        shop.run(number, "completed", conclusion)
    assert list(CONCLUSION)[-1] == "action_required"
    records = [
        *(run(number, **WAITS, queued_at=at(number)) for number in (1, 2, 3)),
        run(4, **WAITS),
        run(5, status="running", exception=None, finished_at=None),
        run(6),  # success
        run(7),  # neutral
        run(8, **FAILED),  # failure
        run(9, **FAILED),  # timed_out
        run(10, **FAILED),  # startup_failure
        run(11, status="cancelled"),
        run(12, status="cancelled"),  # skipped
        run(13, status="abandoned", exception=None),  # stale
        run(14, **WAITS),  # action_required
    ]
    return shop.truth("every word of a run", [DEPLOY, *records])


def approvals_that_time_out() -> Truth:
    """Then what waits for a person is in a queue, too."""
    shop = Shop()
    shop.run(1, "waiting")
    shop.run(2, "completed", "action_required")
    records = [run(number, **WAITS, queued_at=at(number)) for number in (1, 2)]
    return shop.truth("approvals that time out", [DEPLOY, *records], options={"approvals": "time_out"})


def attempts() -> Truth:
    """A run that is run again keeps its id and the time it was created; an attempt ends before the next begins."""
    shop = Shop()
    shop.run(1, "completed", "failure")
    for second, who in ((90, "bo"), (200, "renovate[bot]"), (300, "")):
        shop.github.rerun(REPO, 1, at(1, second), by=who)
        shop.github.end(REPO, 1, at(1, second + 30), "cancelled" if who == "bo" else "failure")
    shop.its.runs[1][1]["updated_at"] = text(at(1, 250))  # somebody asked for another attempt
    shop.github.rerun(REPO, 1, at(1, 400))
    shop.run(2, "completed", "success", run_attempt=None, run_started_at=None, triggering_actor=None)
    shop.run(3, "completed", "success", run_attempt=10**9)  # nobody runs anything so often
    records = [
        earlier(1, 0, 40, **FAILED),
        earlier(2, 90, 200, status="cancelled", human_override=True, updated_at=at(1, 250)),
        earlier(3, 200, 230, **FAILED),
        earlier(4, 300, 330, **FAILED, human_override=None),
        run(1, attempt=5, **WAITS, queued_at=at(1, 400), updated_at=at(1, 400), human_override=True),
        run(2),
        run(3),
    ]
    return shop.truth("attempts", [DEPLOY, *records])


def earlier(number: int, begun: int, ended: int, **columns: Any) -> Run:
    """An attempt of run 1 that is not its last."""
    usual = {"id": f"1/{number}", "url": f"{WEB}/actions/runs/1/attempts/{number}", "attempt": number}
    times = {"started_at": at(1, begun), "finished_at": at(1, ended), "updated_at": at(1, ended)}
    return run(1, **{**usual, **times, **columns})


def workflows() -> Truth:
    """Each state; what workflows are called that have no name, or one that another has, too; and deleted ones."""
    shop, records = Shop(), list[Record]()
    for number, state in enumerate(ENABLED):
        key = shop.github.add_workflow(REPO, state.title(), EDITED, state=state)
        shop.its.workflows[100 + number] = shop.its.workflows.pop(key) | {"id": 100 + number}
        records.append(workflow(100 + number, state.title(), f"{state}.yml", enabled=state == "active"))
    named = {
        200: ("Build", "a.yml"),
        201: ("Build", "b.yml"),
        202: (".github/workflows/c.yml", "c.yml"),
        203: ("", "d.yml"),
    }
    for number, (name, file) in named.items():
        key = shop.github.add_workflow(REPO, name, EDITED, file=file)
        shop.its.workflows[number] = shop.its.workflows.pop(key) | {"id": number}
        records.append(workflow(number, file, file))
    shop.its.workflows[300] = shop.its.workflows[200] | {"id": 300, "name": "CodeQL", "path": "dynamic/x/codeql"}
    records.append(workflow(300, "CodeQL", "codeql", exportable=False))
    shop.run(1, "completed", "success", workflow_id=201)
    shop.run(2, "completed", "success", workflow_id=999, path=".github/workflows/gone.yml@main")
    records += [run(1, workflow=f"{REPO}/b.yml"), run(2, workflow=f"{REPO}/gone.yml")]
    return shop.truth("workflows", [DEPLOY, *records])


def workflow(number: int, name: str, file: str, **columns: Any) -> Workflow:
    url = f"{WEB}/actions/workflows/{file}"
    return replace(DEPLOY, id=str(number), name=f"{REPO}/{name}", url=url, **columns)


def states_of_deployments() -> Truth:
    """Every state, and what a later one makes of an earlier. Older than a month, nobody will approve it."""
    shop, never = Shop(), {"deployed_at": None, "first_commit_at": None, "url": f"{WEB}/deployments"}
    undone = {**never, "url": log(2)}
    cases: dict[int, tuple[Sequence[str], dict[str, Any]]] = {
        1: (("queued", "success"), {}),
        2: (("queued", "failure"), {"result": "failed"}),
        3: (("queued", "error"), {"result": "failed"}),
        4: (("queued", "inactive"), {**undone, "result": "cancelled"}),
        5: (("queued", "success", "inactive"), {"updated_at": at(5, 30)}),
        6: (("success", "failure", "success"), {"deployed_at": at(6, 10), "updated_at": at(6, 30), "url": log(1)}),
        7: (("failure", "success"), {}),
        8: (("success", "failure"), {"result": "failed"}),
        9: (("failure", "error"), {"result": "failed"}),
        10: ((), {**never, "result": "pending", "updated_at": at(10)}),
    }
    for number, state in enumerate(("queued", "pending", "waiting", "in_progress"), 11):
        cases[number] = (("queued", state), {**undone, "result": "pending"})
    shop.commit("a", 1)
    for number, (states, _) in cases.items():
        shop.deployment(number, states, "a", environment=f"e{number}")
    old = datetime(2026, 2, 27, tzinfo=UTC)
    shop.deployment(20, (), "a", created_at=text(old), updated_at=text(old), environment="e20")
    shop.deployment(21, (), "a", created_at=text(AT - MONTH), environment="e21")
    cases[20] = ((), {**never, "result": "cancelled", "requested_at": old, "updated_at": old})
    cases[21] = ((), {**never, "result": "pending", "requested_at": AT - MONTH, "updated_at": at(21)})
    usual = {"reference": "a", "first_commit_at": at(0, 1)}
    records = [
        change(number, **{**usual, "environment": f"e{number}", **columns}) for number, (_, columns) in cases.items()
    ]
    return shop.truth("states of deployments", [DEPLOY, *records])


def log(place: int) -> str:
    return f"{WEB}/actions/runs/1/job/{place}"


def what_deployments_bring() -> Truth:
    """The first of their commits that were not live before; and what only brings back what was there."""
    shop = Shop()
    shop.commit("a", 1)
    shop.commit("b", 2, "a")
    shop.commit("c", 3, "b")
    shop.commit("d", 4, "c")
    shop.commit("hotfix", 5, "a")
    shop.commit("rebased", 6)
    order = ("b", "d", "d", "b", "c", "a", "hotfix", "d", "lost", "rebased", "d")
    for number, sha in enumerate(order, 1):
        shop.deployment(number, ("queued", "failure" if number in (5, 11) else "success"), sha=sha)
    back: dict[str, Any] = {"result": "rolled_back"}
    records = [
        change(1, reference="b", first_commit_at=at(0, 2)),  # nothing is known from before: its own
        change(2, reference="d", first_commit_at=at(0, 3)),
        change(3, reference="d"),  # once more
        change(4, reference="b", **back),  # it was live before d
        change(5, reference="c", result="failed", first_commit_at=at(0, 3)),
        change(6, reference="a", **back),  # it never was live here, and b is built on it
        change(7, reference="hotfix", first_commit_at=at(0, 5)),
        change(8, reference="d", **back),  # live before, and nothing that is in hotfix
        change(9, reference="lost"),  # its branch was rewritten
        change(10, reference="rebased"),  # so is nothing known of what came after it
        change(11, reference="d", result="failed"),  # it was not brought back after all
    ]
    return shop.truth("what deployments bring", [DEPLOY, *records])


def environments() -> Truth:
    """Each has its own past. Previews are read only where they are asked for."""
    shop = Shop()
    shop.commit("a", 1)
    shop.commit("b", 2, "a")
    for number, (place, sha) in enumerate((("staging", "a"), ("prod-eu", "a"), ("staging", "b"), ("prod-eu", "b")), 1):
        shop.deployment(number, ("queued", "success"), sha=sha, environment=place)
    shop.deployment(5, ("queued", "success"), sha="b", environment="pr-7", transient_environment=True)
    records = [
        change(2, reference="a", environment="prod-eu", first_commit_at=at(0, 1)),
        change(4, reference="b", environment="prod-eu", first_commit_at=at(0, 2)),
        change(5, reference="b", environment="pr-7", first_commit_at=at(0, 2)),
    ]
    return shop.truth("environments", [DEPLOY, *records], options={"environments": ["prod-*", "pr-?"]})


def who_deploys() -> Truth:
    """GitHub Actions deploys in the name of a person. Previews are no changes unless they are named."""
    shop = Shop()
    shop.commit("a", 1)
    makers = (("ana", True), ("ana", False), ("renovate[bot]", False), ("", False))
    for number, (who, app) in enumerate(makers, 1):
        slug = {"slug": "github-actions"} if app else None
        shop.deployment(number, ("queued", "success"), "a", creator=account(who), performed_via_github_app=slug)
    shop.deployment(5, ("queued", "success"), "a", transient_environment=True)
    records = [
        change(number, reference="a", automated=automated, first_commit_at=at(0, 1) if number == 1 else None)
        for number, automated in enumerate((True, False, True, None), 1)
    ]
    shop.its.statuses[4][-1]["log_url"] = "https://ci.example.test/4"  # where that leads is not known
    records[-1] = replace(records[-1], url=f"{WEB}/deployments")
    return shop.truth("who deploys", [DEPLOY, *records])


def what_the_config_finds() -> Truth:
    """The repository is in every item, and the workflow in each run."""
    shop = Shop()
    shop.run(1, "completed", "success")
    shop.commit("a", 1)
    shop.deployment(2, ("queued", "success"), "a")
    fields = {
        "team": Rule(field="repository.custom_properties.team"),
        "business_unit": Rule(field="repository.topics", match="unit-(.*)"),
        "region": Rule(field="repository.owner"),
        "cohort": Rule(field="workflow_name"),
        "owner": Rule(field="repository.language"),
        "trigger": Rule(field="repository.default_branch"),
        "environment": Rule(field="status.state"),
    }
    own: dict[str, Any] = {"team": "web", "business_unit": "retail", "region": "acme"}
    records = [
        replace(DEPLOY, **own, cohort="Deploy"),
        run(1, **own, cohort="Deploy", owner="Python", trigger="main"),
        change(2, reference="a", **own, first_commit_at=at(0, 1), environment="success"),
    ]
    return shop.truth("what the config finds", records, fields=fields)


def what_cannot_be_read() -> Truth:
    """The word of a run or deployment and the times that place it cost the record; anything else costs itself."""
    shop = Shop()
    shop.commit("a", 1)
    for number in range(1, 9):
        shop.run(number, "completed", "success")
    shop.its.runs[7] *= 2
    for number in range(11, 17):
        shop.deployment(number, ("queued", "success"), "a", environment=f"e{number}")
    for number in (13, 14):
        shop.its.deployments[number]["performed_via_github_app"] = None
    shop.its.statuses[11][1]["state"] = "pondered"
    shop.its.statuses[15][1]["created_at"] = "n/a"
    shop.its.workflows[14] |= {"state": "pondered", "updated_at": "n/a"}
    usual: dict[str, Any] = {"reference": "a", "first_commit_at": at(0, 1)}
    given = shop.truth(
        "what cannot be read",
        [
            replace(DEPLOY, updated_at=None, enabled=None),
            run(7, id="7/1", url=f"{WEB}/actions/runs/7/attempts/1"),
            run(7, attempt=2, human_override=None, started_at=at(7, 50)),
            run(8),
            change(12, environment="e12", **usual, updated_at=None),
            change(13, environment="e13", **usual, automated=None),
            change(14, environment="e14", reference=None, automated=False),
        ],
        left_out=[
            f"enabled: 'pondered' is none of {', '.join(ENABLED)}",
            *[f"updated_at: {NO_TIME}"] * 3,  # of the workflow, run 1 and deployment 12
            f"finished_at: {NO_TIME}",
            f"started_at: {NO_TIME}",
            f"status: 'pondered' is none of {', '.join(CONCLUSION)}",
            f"status: 'pondering' is none of {', '.join(STATUS)}",
            *["item: cannot be read (ValueError)"] * 3,  # runs 5 and 6, deployment 16
            f"result: 'pondered' is none of {', '.join(RESULT)}",
            "odd answer: ValueError",  # a status of deployment 15: it is asked again
            "human_override: 'Ghost' is none of User, Bot",
            "automated: 'Ghost' is none of User, Bot",
        ],
    )
    assert given.app
    spoilt(
        given.app,
        "/actions/runs",
        "workflow_runs",
        {
            1: {"updated_at": "n/a"},
            2: {"run_started_at": "n/a"},
            3: {"conclusion": "pondered"},
            4: {"status": "pondering"},
            5: {"created_at": "n/a"},
            6: {"id": "6"},
            7: {"run_attempt": 2, "triggering_actor": {"type": "Ghost"}, "run_started_at": text(at(7, 50))},
        },
    )
    odd: dict[Any, Row] = {12: {"updated_at": "n/a"}, 13: {"creator": {"type": "Ghost"}}, 14: {"sha": None}}
    spoilt(given.app, "/deployments", None, {**odd, 16: {"created_at": "n/a"}})
    return given


def spoilt(app: web.Application, path: str, items: str | None, odd: dict[Any, Row]) -> None:
    """The app with some items of a list changed, by id."""

    def change(body: Any) -> None:
        for item in body[items] if items else body:
            item.update(odd.get(item["id"], {}))

    rewritten(app, path, change)
