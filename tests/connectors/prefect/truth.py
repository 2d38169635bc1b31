"""What flow runs and deployments of Prefect are: items as its API writes them, and the records they must become."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from exporter.connectors.prefect.mapping import STATUS
from exporter.demo.fakes.prefect import NAMES, Prefect
from exporter.records import Record, Run, Workflow
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Enum, Truth, rewritten

ENUMS = (Enum("prefect-3-server.json", "components/schemas/StateType/enum", STATUS),)
TECHNICAL = {"page_size", "overlap_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
EDITED = datetime(2026, 3, 2, tzinfo=UTC)
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
FIELDS = {
    "team": Rule(field="flow_name"),
    "business_unit": Rule(field="deployment_name"),
    "region": Rule(field="workflow_name"),
}


def at(number: int, second: int) -> datetime:
    """A second of the minute in which the run of a number is expected, 10 before it starts and 40 before it ends."""
    return NOON + timedelta(minutes=number, seconds=second)


def written(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z") if moment else None


def state(number: int, kind: str, name: str, second: int, message: str | None = None) -> dict[str, Any]:
    return {
        "id": f"s{number}-{second}",
        "type": kind,
        "name": name or NAMES[kind],
        "timestamp": written(at(number, second)),
        "message": message,
    }


def flow_run(number: int, kind: str, name: str = "", message: str | None = None, **changes: Any) -> dict[str, Any]:
    """A flow run that was tried once, in a state that it entered 50 seconds after it was expected."""
    entered, waits = state(number, kind, name, 50, message), kind in ("SCHEDULED", "PENDING")
    return {
        "id": f"r{number}",
        "created": written(at(number, -5)),
        "updated": written(at(number, 55)),
        "flow_id": "f1",
        "deployment_id": "d1",
        "tags": [],
        "parent_task_run_id": None,
        "run_count": 0 if waits else 1,
        "expected_start_time": written(at(number, 0)),
        "start_time": None if waits else written(at(number, 10)),
        "end_time": written(at(number, 40)) if kind in ENDED else None,
        "auto_scheduled": False,
        "created_by": None,
        "state": entered,
        "state_id": entered["id"],
        "state_type": kind,
        "state_name": entered["name"],
        **changes,
    }


def run(number: int, attempt: int = 1, **columns: Any) -> Run:
    """A run that succeeded, but for what is said of it."""
    usual = {
        "id": f"r{number}",
        "url": f"{HOST}/runs/flow-run/r{number}",
        "updated_at": at(number, 50),
        "workflow": "invoice-sync/prod",
        "root_id": f"r{number}",
        "attempt": attempt,
        "queued_at": at(number, 0),
        "started_at": at(number, 10),
        "finished_at": at(number, 40),
        "status": "succeeded",
        "exception": "none",
    }
    return Run(**{**usual, **columns})


def deployment(key: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": key,
        "created": written(EDITED - timedelta(days=1)),
        "updated": written(EDITED),
        "name": name,
        "flow_id": "f1",
        "paused": False,
        "schedules": [],
        "tags": [],
        "work_pool_name": None,
        **changes,
    }


def workflow(key: str, name: str, enabled: bool, **columns: Any) -> Workflow:
    url = f"{HOST}/deployments/deployment/{key}"
    return Workflow(id=key, url=url, updated_at=EDITED, name=name, enabled=enabled, exportable=True, **columns)


SYNC = workflow("d1", "invoice-sync/prod", True)


def truth(what: str, items: list[dict[str, Any]], records: list[Record], **others: Any) -> Truth:
    """A server with these runs and one deployment, unless others are given."""
    deployments = others.pop("deployments", [deployment("d1", "prod")])
    states: Mapping[str, Any] = others.pop("states", {})
    prefect = Prefect(
        token=others.pop("token", ""),
        flows={"f1": {"id": "f1", "name": "invoice-sync"}},
        deployments={each["id"]: each for each in deployments},
        runs={each.get("id", f"unknown {number}"): each for number, each in enumerate(items)},
        states={**states},
    )
    return Truth(what=what, app=prefect.app(), path=prefect.path, records=records, **others)


def truths(_folder: Path) -> Iterator[Truth]:
    yield states()
    yield kinds()
    yield own_words()
    yield triggers()
    yield deployments()
    yield tries()
    yield tries_without_a_history()
    yield items_that_lack_something()
    yield more_than_was_asked_for()
    yield what_cannot_be_read()
    yield a_workspace_of_cloud()


def states() -> Truth:
    """Every type of state. What is only planned, and what is part of another run, is none."""
    waiting: dict[str, Any] = {"status": "waiting", "exception": None, "finished_at": None}
    running: dict[str, Any] = {**waiting, "status": "running"}
    items = [
        flow_run(1, "SCHEDULED", "Late"),
        flow_run(2, "SCHEDULED"),
        flow_run(3, "PENDING"),
        flow_run(4, "RUNNING", end_time=written(at(4, 40))),  # it had ended before
        flow_run(5, "PAUSED"),
        flow_run(6, "CANCELLING"),
        flow_run(7, "COMPLETED"),
        flow_run(8, "FAILED"),
        flow_run(9, "CRASHED"),
        flow_run(10, "CANCELLED"),
        flow_run(11, "CANCELLED", run_count=0, start_time=written(at(11, 40))),  # it never began
        flow_run(12, "COMPLETED", parent_task_run_id="t1"),
        flow_run(13, "COMPLETED", end_time="2026-03-30T14:13:40+02:00"),
        flow_run(14, "SCHEDULED", "AwaitingRetry", run_count=0),
    ]
    records: list[Record] = [
        SYNC,
        run(1, **waiting, started_at=None),
        run(3, **waiting, started_at=None),
        run(4, **running),
        run(5, **waiting),
        run(6, **running),
        run(7),
        run(8, status="failed", exception="application"),
        run(9, status="failed", exception="application"),
        run(10, status="cancelled"),
        run(11, status="cancelled", started_at=None),
        run(13),
        run(14, **waiting, started_at=None),
    ]
    return truth("every type of state", items, records)


def kinds() -> Truth:
    """What names of states and messages mean. A crash or a time limit is an accident, whatever its message says."""
    cases = [
        ("FAILED", "Failed", "BusinessException: no such customer", "failed", "business"),
        ("FAILED", "Failed", "ValueError", "failed", "application"),
        ("FAILED", "TimedOut", "BusinessException", "failed", "application"),
        ("CRASHED", "Crashed", "BusinessException", "failed", "application"),
        ("FAILED", "Rejected", None, "failed", "business"),
        ("FAILED", "BusinessException", None, "failed", "business"),
        ("COMPLETED", "Rejected", None, "succeeded", "business"),
        ("COMPLETED", "RolledBack", None, "failed", "application"),
        ("COMPLETED", "RolledBack", "BusinessException", "failed", "business"),
        ("FAILED", "RolledBack", None, "failed", "application"),
        ("COMPLETED", "Cached", "BusinessException", "succeeded", "none"),
        ("CANCELLED", "RolledBack", None, "cancelled", "none"),
    ]
    items = [flow_run(number, kind, name, message) for number, (kind, name, message, *_) in enumerate(cases, 1)]
    found = [run(number, status=case[3], exception=case[4]) for number, case in enumerate(cases, 1)]
    return truth("names of states and messages", items, [SYNC, *found])


def own_words() -> Truth:
    """The same, with a team's own words in the place of the usual ones."""
    web = "https://prefect.example.test"
    cases = [
        ("COMPLETED", "Declined", None, "succeeded", "business"),
        ("COMPLETED", "Undone", None, "failed", "application"),
        ("FAILED", "Failed", "KeyError: 5", "failed", "business"),
        ("COMPLETED", "Rejected", None, "succeeded", "none"),
        ("COMPLETED", "RolledBack", None, "succeeded", "none"),
        ("FAILED", "Failed", "BusinessException", "failed", "application"),
    ]
    items = [flow_run(number, kind, name, message) for number, (kind, name, message, *_) in enumerate(cases, 1)]
    found: list[Record] = [
        run(number, status=case[3], exception=case[4], url=f"{web}/runs/flow-run/r{number}")
        for number, case in enumerate(cases, 1)
    ]
    options = {
        "business_states": ("Declined",),
        "business_messages": ("ValueError", "KeyError"),
        "failed_states": ("Undone",),
        "web_url": web,
    }
    there = Workflow(
        id="d1",
        url=f"{web}/deployments/deployment/d1",
        updated_at=EDITED,
        name="invoice-sync/prod",
        enabled=True,
        exportable=True,
    )
    return truth("a team's own words, and where people open Prefect", items, [there, *found], options=options)


def triggers() -> Truth:
    items = [
        flow_run(1, "COMPLETED", auto_scheduled=True, created_by={"type": "DEPLOYMENT"}),
        flow_run(2, "COMPLETED", created_by={"type": "AUTOMATION"}),
        flow_run(3, "COMPLETED", created_by={"type": None}),
        flow_run(4, "COMPLETED", auto_scheduled=None),
    ]
    records = [run(1, trigger="schedule"), run(2, trigger="automation"), run(3), run(4)]
    return truth("what made a run", items, [SYNC, *records])


def deployments() -> Truth:
    """What is enabled, and what runs are called whose deployment or flow is there no more."""
    prod = described("invoice-sync", "prod")
    there = [
        deployment("d1", "prod", schedules=[{"active": False}, {"active": True}], work_pool_name="k8s"),
        deployment("d2", "asleep", schedules=[{"active": False}]),
        deployment("d3", "paused", paused=True, schedules=[{"active": True}]),
        deployment("d4", "lost", flow_id="f9"),
        deployment("d5", "alone", flow_id=None),
    ]
    items = [
        flow_run(1, "COMPLETED"),
        flow_run(2, "COMPLETED", deployment_id="gone"),
        flow_run(3, "COMPLETED", deployment_id=None, flow_id="f8"),
        flow_run(4, "COMPLETED", deployment_id="d4", flow_id="f9"),
    ]
    records: list[Record] = [
        workflow("d1", "invoice-sync/prod", True, dependencies=("system:k8s",), **prod),
        workflow(
            "d2",
            "invoice-sync/asleep",
            False,
            team="invoice-sync",
            business_unit="asleep",
            region="invoice-sync/asleep",
        ),
        workflow(
            "d3",
            "invoice-sync/paused",
            False,
            team="invoice-sync",
            business_unit="paused",
            region="invoice-sync/paused",
        ),
        workflow("d4", "f9/lost", True, team="f9", business_unit="lost", region="f9/lost"),
        workflow("d5", "alone", True, business_unit="alone", region="alone"),
        run(1, **prod),
        run(2, workflow="invoice-sync", team="invoice-sync", region="invoice-sync"),
        run(3, workflow="f8", region="f8"),
        run(4, workflow="f9/lost", **described("f9", "lost")),
    ]
    return truth("deployments, and what runs are described by", items, records, deployments=there, fields=FIELDS)


def described(flow: str, name: str) -> dict[str, Any]:
    """What the config finds of a deployment."""
    return {"team": flow, "business_unit": name, "region": f"{flow}/{name}"}


def tries() -> Truth:
    """The tries of a run in its history: each begins when it runs, and a pause is part of it."""
    now = {number: flow_run(number, kind, run_count=2) for number, kind in enumerate(("COMPLETED", "FAILED"), 1)}
    now[3] = flow_run(3, "SCHEDULED", "AwaitingRetry", run_count=1)
    now[4] = flow_run(4, "COMPLETED", run_count=2)
    now[5] = flow_run(5, "RUNNING", run_count=2)
    histories = {
        "r1": [  # failed, and tried again by itself; in no order
            now[1]["state"],
            state(1, "RUNNING", "", 30),
            state(1, "SCHEDULED", "AwaitingRetry", 25, "BusinessException"),
            state(1, "RUNNING", "", 11),
            state(1, "PENDING", "", 5),
            state(1, "SCHEDULED", "", 0),
        ],
        "r2": [  # cancelled, and begun again by a person; paused in between
            state(2, "SCHEDULED", "", 0),
            state(2, "RUNNING", "", 11),
            state(2, "CANCELLED", "", 20),
            state(2, "SCHEDULED", "Late", 22),
            state(2, "PENDING", "", 24),
            state(2, "RUNNING", "", 26),
            state(2, "PAUSED", "", 30),
            state(2, "SCHEDULED", "Resuming", 32),
            state(2, "RUNNING", "", 34),
            now[2]["state"],
        ],
        "r3": [state(3, "SCHEDULED", "", 0), state(3, "RUNNING", "", 11), now[3]["state"]],  # its second try is to come
        "r4": [  # lost by its worker, and queued again
            state(4, "RUNNING", "", 11),
            state(4, "PENDING", "", 20),
            state(4, "RUNNING", "", 26),
            now[4]["state"],
        ],
        "r5": [  # said to have crashed, while it went on
            state(5, "RUNNING", "", 11),
            state(5, "CRASHED", "", 20, "BusinessException"),
            now[5]["state"],
        ],
    }
    failed: dict[str, Any] = {"status": "failed", "exception": "application"}
    going_on: dict[str, Any] = {"exception": None, "finished_at": None}
    records: list[Record] = [
        SYNC,
        first(1, 11, 25, **{**failed, "exception": "business"}),
        run(1, 2, queued_at=at(1, 25), started_at=at(1, 30)),
        first(2, 11, 20, status="cancelled"),
        run(2, 2, queued_at=at(2, 22), started_at=at(2, 26), **failed),
        first(3, 11, 50, **failed),
        run(3, 2, queued_at=at(3, 50), started_at=None, status="waiting", **going_on),
        first(4, 11, 20, **failed),
        run(4, 2, queued_at=at(4, 20), started_at=at(4, 26)),
        first(5, 11, 20, **failed),
        run(5, 2, queued_at=at(5, 50), started_at=at(5, 50), status="running", **going_on),
    ]
    return truth("tries", list(now.values()), records, states=histories)


def first(number: int, started: int, ended: int, **columns: Any) -> Run:
    """The first try of a run: the seconds in which it began and ended, the end being when its state was entered."""
    end = at(number, ended)
    usual = {"id": f"r{number}/1", "started_at": at(number, started), "finished_at": end, "updated_at": end}
    return run(number, **{**usual, **columns})


def tries_without_a_history() -> Truth:
    """That there were others is known, and when the first began; not how it ended, nor when the last began."""
    items = [
        flow_run(1, "COMPLETED", run_count=3),
        flow_run(2, "SCHEDULED", "AwaitingRetry", run_count=2, start_time=written(at(2, 10))),
    ]
    lost: dict[str, Any] = {"status": "failed", "exception": "application", "finished_at": None}
    records: list[Record] = [
        SYNC,
        run(1, id="r1/1", updated_at=at(1, 10), **lost),
        run(1, 3, queued_at=None, started_at=None),
        run(2, id="r2/1", updated_at=at(2, 10), **lost),
        run(2, 3, queued_at=None, started_at=None, status="waiting", exception=None, finished_at=None),
    ]
    return truth("tries without a history", items, records)


def items_that_lack_something() -> Truth:
    """Such an item is no flow run: it is left out and told of, and the others are read."""
    given = truth("items that lack something", [flow_run(number, "COMPLETED") for number in range(10)], [SYNC, run(9)])

    def without(items: list[dict[str, Any]]) -> None:
        for item in items:
            if (number := int(item["id"][1:])) < len(NEEDED):
                del item[NEEDED[number]]

    assert given.app
    rewritten(given.app, "/flow_runs/filter", without)
    return replace(given, left_out=["item: cannot be read (ValueError)"] * len(NEEDED))


def more_than_was_asked_for() -> Truth:
    """Parts of other runs and what is only planned are no runs, whoever shows them; what is odd is left out."""
    bare = flow_run(0, "COMPLETED", end_time=written(at(0, 30)))
    more: list[Any] = [
        flow_run(2, "COMPLETED", parent_task_run_id="t1", end_time=written(at(0, 35))),
        flow_run(3, "SCHEDULED"),
        {key: bare[key] for key in NEEDED},
        {**bare, "run_count": "2"},
        {**bare, "id": 5},
        {**bare, "state": "Completed"},
        "odd",
    ]
    nameless: list[Any] = [{"id": "d8"}, {"name": "x"}, {"id": 5, "name": "x"}, {"id": "d9", "name": 5}, "odd"]
    given = truth("more than was asked for", [flow_run(1, "COMPLETED")], [SYNC, run(1)])
    assert given.app
    rewritten(given.app, "/flow_runs/filter", lambda items: items.extend(more))
    for path in ("/flows/filter", "/deployments/filter"):
        rewritten(given.app, path, lambda items: items.extend(nameless))
    runs = ["item: 'parent_task_run_id' is missing", *["item: cannot be read (ValueError)"] * 4]
    inventory = ["'d8' is missing", "'id' is missing", "a part is missing", "'d9' is missing"]
    return replace(  # each run is shown twice: where what is open is asked for, and where what has ended is
        given,
        left_out=[*runs, *runs, *(f"item: {what}" for what in inventory), "item: has another shape than expected"],
    )


NEEDED = (
    "id",
    "state_id",
    "state",
    "state_type",
    "state_name",
    "run_count",
    "start_time",
    "end_time",
    "expected_start_time",
)


def a_workspace_of_cloud() -> Truth:
    """A token, and links to where people open it."""
    web = f"https://app.prefect.cloud/account/{UUID(int=1)}/workspace/{UUID(int=2)}"
    records: list[Record] = [
        replace(SYNC, url=f"{web}/deployments/deployment/d1"),
        run(1, url=f"{web}/runs/flow-run/r1"),
    ]
    items = [flow_run(1, "COMPLETED")]
    return truth("a workspace of Prefect Cloud", items, records, token="pnu_x", secret=("token", "pnu_x"))


def what_cannot_be_read() -> Truth:
    """The type of a state and the times that place a run cost the run; anything else costs itself."""
    odd: dict[str, dict[str, Any]] = {
        "r1": {"expected_start_time": "n/a"},
        "r2": {"start_time": "n/a"},
        "r3": {"end_time": "n/a"},
        "r4": {"state": {"id": "s", "type": "COMPLETED", "name": "Completed", "timestamp": "n/a", "message": None}},
        "r5": {"state": {"id": "s", "type": "PONDERING", "name": "", "timestamp": written(NOON), "message": None}},
        "r6": {"created_by": "somebody"},
        "d1": {"updated": "n/a", "schedules": [5]},
        "d2": {"flow_id": 5},
    }
    given = truth(
        "what cannot be read",
        [flow_run(number, "COMPLETED") for number in range(1, 8)],
        [
            Workflow(id="d1", url=f"{HOST}/deployments/deployment/d1", name="invoice-sync/prod", exportable=True),
            workflow("d2", "alone", True),
            run(1, queued_at=None),
            run(4, updated_at=None),
            run(6),
            run(7),
        ],
        deployments=[deployment("d1", "prod"), deployment("d2", "alone")],
        left_out=[
            f"queued_at: {NO_TIME}",
            f"started_at: {NO_TIME}",
            "item: cannot be read (ValueError)",
            f"updated_at: {NO_TIME}",
            f"status: 'PONDERING' is none of {', '.join(STATUS)}",
            "trigger: has another shape than expected",
            f"updated_at: {NO_TIME}",
            "enabled: has another shape than expected",
        ],
    )

    def spoil(items: list[dict[str, Any]]) -> None:
        for item in items:
            item.update(odd.get(item["id"], {}))

    assert given.app
    for path in ("/flow_runs/filter", "/deployments/filter"):
        rewritten(given.app, path, spoil)
    return given
