"""What executions and workflows of n8n are: items as its API writes them, and the records they must become."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from exporter.connectors.n8n.mapping import MODES, STATUS
from exporter.demo.fakes.n8n import N8n
from exporter.records import Record, Run, Workflow
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Enum, Truth, rewritten

DOCUMENT = "n8n-public-api-v1-n8n2.8.4.yml"
ENUMS = (
    Enum(DOCUMENT, "components/schemas/execution/properties/status/enum", STATUS),
    Enum(
        DOCUMENT, "components/schemas/execution/properties/mode/enum", MODES, {"agent": "came with a later 2.x release"}
    ),
)
TECHNICAL = {"api_path", "page_size", "overlap", "inventory_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
MADE = datetime(2026, 3, 1, tzinfo=UTC)
EDITED = datetime(2026, 3, 2, tzinfo=UTC)
STOP = {"type": "n8n-nodes-base.stopAndError"}
HTTP = {"type": "n8n-nodes-base.httpRequest"}
FIELDS = {
    "team": Rule(field="tags", match="team:(.*)"),
    "business_unit": Rule(field="project"),
    "region": Rule(field="workflow_name"),
}


def written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def began(number: int) -> datetime:
    """When the execution of a number did; it stopped nine seconds later."""
    return NOON + timedelta(minutes=number)


def stopped(number: int) -> datetime:
    return began(number) + timedelta(seconds=9)


def project(name: str | None = "Operations", kind: str = "team") -> dict[str, Any]:
    return {"projectId": f"p-{name}", "project": {"id": f"p-{name}", "name": name, "type": kind}}


def workflow(key: str, name: str | int | None, **changes: Any) -> dict[str, Any]:
    return {
        "id": key,
        "name": name,
        "active": True,
        "isArchived": False,
        "createdAt": written(MADE),
        "updatedAt": written(EDITED),
        "nodes": [],
        "tags": [],
        "shared": [project()],
        **changes,
    }


def execution(number: int, status: str, mode: str = "webhook", **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "finished": status == "success",
        "mode": mode,
        "retryOf": None,
        "retrySuccessId": None,
        "status": status,
        "startedAt": written(began(number)),
        "stoppedAt": None if status in ("new", "running") else written(stopped(number)),
        "workflowId": "w1",
        "waitTill": None,
        **changes,
    }


def served(executions: list[dict[str, Any]], **changes: Any) -> N8n:
    """An instance with these executions, and one workflow unless others are given."""
    n8n = N8n(**changes)
    n8n.workflows = n8n.workflows or {"w1": workflow("w1", "Invoice intake")}
    n8n.executions = {int(each["id"]): each for each in executions}
    return n8n


INTAKE = Workflow(
    id="w1",
    url=f"{HOST}/workflow/w1",
    updated_at=EDITED,
    name="Invoice intake",
    enabled=True,
    owners=("Operations",),
    exportable=True,
)


def run(number: int, **columns: Any) -> Run:
    """A run that succeeded, but for what is said of it."""
    usual = {
        "url": f"{HOST}/workflow/w1/executions/{number}",
        "updated_at": stopped(number),
        "workflow": "Invoice intake",
        "root_id": str(number),
        "attempt": 1,
        "started_at": began(number),
        "finished_at": stopped(number),
        "status": "succeeded",
        "exception": "none",
        "trigger": "webhook",
        "owner": "Operations",
    }
    return Run(id=str(number), **{**usual, **columns})


def truth(what: str, n8n: N8n, records: list[Record], **others: Any) -> Truth:
    return Truth(what=what, app=n8n.app(), secret=("api_key", n8n.key), records=records, **others)


def truths(_folder: Path) -> Iterator[Truth]:
    yield statuses()
    yield modes()
    yield failures()
    yield unread_failures()
    yield retries()
    yield workflows()
    yield further_modes()
    yield an_unknown_workflow()
    yield workflows_made_meanwhile()
    yield what_cannot_be_read()
    yield odd_executions()


def statuses() -> Truth:
    words = ("success", "error", "crashed", "canceled", "new", "waiting", "running", "unknown")
    n8n = served([execution(number, word) for number, word in enumerate(words, 1)])
    n8n.executions[5]["startedAt"] = None  # it waits for its turn
    n8n.data[2] = {"resultData": {"error": {"node": HTTP}}}
    going_on: dict[str, Any] = {"finished_at": None, "exception": None}
    records: list[Record] = [
        INTAKE,
        run(1),
        run(2, status="failed", exception="application"),
        run(3, status="failed", exception="application", finished_at=None),  # nobody knows when it died
        run(4, status="cancelled"),
        run(5, status="waiting", **going_on, started_at=None, updated_at=None),
        run(6, status="waiting", **going_on),
        run(7, status="running", **going_on, updated_at=began(7)),
        run(8, status="running", **going_on),
    ]
    return truth("every status", n8n, records)


def modes() -> Truth:
    words = ("trigger", "webhook", "retry", "chat", "agent")
    others = ("manual", "integrated", "error", "evaluation", "internal", "cli")
    n8n = served([execution(number, "success", word) for number, word in enumerate((*words, *others), 1)])
    return truth("every mode", n8n, [INTAKE, *(run(number, trigger=word) for number, word in enumerate(words, 1))])


def failures() -> Truth:
    """Of what kind a failure was: the workflow's own word first, then the error's, then the node's that stopped it."""
    errors: list[tuple[str | None, dict[str, Any], str | None]] = [
        ("business", {"node": HTTP}, "business"),
        ("application", {"node": STOP}, "application"),
        (None, {"type": "business", "node": HTTP}, "business"),
        (None, {"type": "application", "node": STOP}, "application"),
        ("pondering", {"type": "NodeApiError", "node": STOP}, "business"),
        (None, {"node": HTTP}, "application"),
        (None, {"node": None}, "application"),
        ("business", {"type": "application", "node": STOP}, "business"),
    ]
    n8n = served([execution(number, "error") for number in range(1, len(errors) + 2)])
    for number, (word, error, _) in enumerate(errors, 1):
        n8n.data[number] = {"resultData": {"error": error}}
        n8n.custom_data[number] = {"exception_kind": word} if word else {}
    n8n.data[9] = {"resultData": {}}  # it is not shown
    kinds = [*(kind for *_, kind in errors), None]
    records = [run(number, status="failed", exception=kind) for number, kind in enumerate(kinds, 1)]
    return truth("kinds of failures", n8n, [INTAKE, *records])


def unread_failures() -> Truth:
    n8n = served([execution(1, "error"), execution(2, "crashed")])
    n8n.data[1] = {"resultData": {"error": {"node": STOP}}}
    records: list[Record] = [
        INTAKE,
        run(1, status="failed", exception=None),
        run(2, status="failed", exception="application", finished_at=None),
    ]
    return truth("kinds of failures that are not to be asked for", n8n, records, options={"exceptions": "unread"})


def retries() -> Truth:
    """All tries are one logical run, begun by the first; what a person tried by hand is none, nor is its retry."""
    n8n = served(
        [
            execution(1, "crashed", "trigger"),
            execution(2, "crashed", "retry", retryOf="1"),
            execution(3, "success", "retry", retryOf="2"),
            execution(4, "crashed", "manual"),
            execution(5, "success", "retry", retryOf="4"),
            execution(6, "success", "retry", retryOf="999"),  # deleted
        ]
    )
    crashed: dict[str, Any] = {"status": "failed", "exception": "application", "finished_at": None}
    records: list[Record] = [
        INTAKE,
        run(1, **crashed, trigger="trigger"),
        run(2, **crashed, root_id="1", attempt=2, trigger="retry"),
        run(3, root_id="1", attempt=3, trigger="retry"),
        run(6, root_id="999", attempt=2, trigger="retry"),
    ]
    return truth("retries", n8n, records)


def workflows() -> Truth:
    """Tags, projects, and what the nodes need. A personal project is called by its id: its name is a person's."""
    nodes = [
        {"type": "n8n-nodes-base.webhook", "parameters": {"path": "x"}},
        {"type": "@n8n/n8n-nodes-langchain.agent", "parameters": {"url": "not an address"}},
        {"type": "n8n-nodes-acme.crm", "parameters": {"url": 5}, "credentials": {"crmApi": {"name": "CRM key"}}},
        {"type": "n8n-nodes-base.httpRequest", "parameters": {"url": "https://erp.example.test/api"}},
        {"type": "n8n-nodes-base.noOp"},
    ]
    mine = project("Anna Example <anna@example.test>", "personal")
    n8n = served(
        [execution(1, "success", workflowId="w2"), execution(2, "success", workflowId="w3")],
        workflows={
            "w2": workflow("w2", "Customer sync", nodes=nodes, tags=[{"name": "x"}, {"name": "team:crm"}]),
            "w3": workflow("w3", "Mine", active=False, shared=[{**mine, "projectId": "p3"}]),
            "w4": workflow("w4", "", isArchived=True, shared=[]),
        },
    )
    synced: dict[str, Any] = {"team": "crm", "business_unit": "Operations", "region": "Customer sync"}
    my: dict[str, Any] = {"business_unit": "p3", "region": "Mine"}
    records: list[Record] = [
        Workflow(
            id="w2",
            url=f"{HOST}/workflow/w2",
            updated_at=EDITED,
            name="Customer sync",
            enabled=True,
            owners=("Operations",),
            dependencies=("api:erp.example.test", "credential:CRM key", "plugin:n8n-nodes-acme", "system:crm"),
            exportable=True,
            **synced,
        ),
        Workflow(
            id="w3",
            url=f"{HOST}/workflow/w3",
            updated_at=EDITED,
            name="Mine",
            enabled=False,
            owners=("p3",),
            exportable=True,
            **my,
        ),
        Workflow(
            id="w4",
            url=f"{HOST}/workflow/w4",
            updated_at=EDITED,
            name="w4",
            enabled=False,
            exportable=True,
            region="w4",
        ),
        run(1, url=f"{HOST}/workflow/w2/executions/1", workflow="Customer sync", **synced),
        run(2, url=f"{HOST}/workflow/w3/executions/2", workflow="Mine", owner="p3", **my),
    ]
    return truth("workflows, and what runs are described by", n8n, records, fields=FIELDS)


def further_modes() -> Truth:
    n8n = served(
        [
            execution(1, "success", "manual"),
            execution(2, "success", "cli"),
            execution(3, "crashed", "manual"),
            execution(4, "success", "retry", retryOf="3"),
        ]
    )
    web = "https://n8n.example.test"
    link = f"{web}/workflow/w1/executions/{{}}".format
    crashed: dict[str, Any] = {"status": "failed", "exception": "application", "finished_at": None}
    records: list[Record] = [
        Workflow(
            id="w1",
            url=f"{web}/workflow/w1",
            **{name: getattr(INTAKE, name) for name in ("updated_at", "name", "enabled", "owners", "exportable")},
        ),
        run(1, url=link(1), trigger="manual"),
        run(3, url=link(3), trigger="manual", **crashed),
        run(4, url=link(4), trigger="retry", root_id="3", attempt=2),
    ]
    return truth(
        "further modes, and where people open n8n", n8n, records, options={"modes": ("manual",), "web_url": web}
    )


def an_unknown_workflow() -> Truth:
    """One is deleted and one cannot be asked about: nothing is made up."""
    n8n = served([execution(1, "success", workflowId="gone"), execution(2, "success", workflowId="w9")])

    @web.middleware
    async def broken(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.endswith("/workflows/w9"):
            return web.json_response({"message": "Internal error"}, status=500)
        answer: web.StreamResponse = await handler(request)
        return answer

    app = n8n.app()
    app.middlewares.append(broken)
    records: list[Record] = [
        INTAKE,
        run(1, url=f"{HOST}/workflow/gone/executions/1", workflow="gone", owner=None),
        run(2, url=f"{HOST}/workflow/w9/executions/2", workflow=None, owner=None),
    ]
    return Truth(
        what="runs of workflows that nobody can be asked about",
        app=app,
        secret=("api_key", n8n.key),
        records=records,
        left_out=["GET /api/v1/workflows/w9: HTTP 500"],
    )


def workflows_made_meanwhile() -> Truth:
    """What the list of workflows does not show is asked for one by one, and says the same of itself there."""
    made = {
        "w5": workflow("w5", "Dunning", shared=[project("Finance")], tags=[{"name": "team:crm"}]),
        "w6": workflow("w6", "Mine", shared=[project("Anna Example", "personal")]),
        "w7": workflow("w7", 7, shared=[], tags=[5]),
    }
    n8n = served(
        [execution(number, "success", workflowId=key) for number, key in enumerate(made, 1)],
        workflows={"w1": workflow("w1", "Invoice intake"), **made},
    )

    def unlisted(body: Any) -> None:
        body["data"] = [each for each in body["data"] if each["id"] not in made]

    link = f"{HOST}/workflow/w{{}}/executions/{{}}".format
    crm: dict[str, Any] = {"team": "crm", "business_unit": "Finance", "region": "Dunning", "cohort": "team:crm"}
    records: list[Record] = [
        replace(INTAKE, business_unit="Operations", region="Invoice intake"),
        run(1, url=link(5, 1), workflow="Dunning", owner="Finance", **crm),
        run(2, url=link(6, 2), workflow="Mine", owner="p-Anna Example", business_unit="p-Anna Example", region="Mine"),
        run(3, url=link(7, 3), workflow="w7", owner=None, region="w7"),
    ]
    return Truth(
        what="runs of workflows that are not listed",
        app=rewritten(n8n.app(), "/workflows", unlisted),
        secret=("api_key", n8n.key),
        fields={**FIELDS, "cohort": Rule(field="tags")},
        records=records,
        left_out=["tags: has another shape than expected"],
    )


def what_cannot_be_read() -> Truth:
    """The status and the times that place a run cost the run; anything else costs itself, however odd an id is."""
    long = 9 * 10**18  # more digits than any id has
    n8n = served(
        [
            execution(1, "success", stoppedAt="n/a"),
            execution(2, "success", startedAt="n/a"),
            execution(3, "waiting", stoppedAt="n/a"),
            execution(4, "pondering"),
            execution(5, "success", mode="pondering"),
            {**execution(6, "success"), "id": 6},
            execution(7, "success"),
        ],
        workflows={"w1": workflow("w1", "Intake", updatedAt="n/a", active="yes", nodes=[{}], tags=[5])},
    )
    n8n.executions[long] = {**execution(8, "success"), "id": str(long)}
    going_on: dict[str, Any] = {"status": "waiting", "finished_at": None, "exception": None}
    odd: dict[str, Any] = {"workflow": "Intake"}
    records: list[Record] = [
        Workflow(id="w1", url=f"{HOST}/workflow/w1", name="Intake", owners=("Operations",), exportable=True),
        run(3, **odd, **going_on, updated_at=None),
        run(6, **odd),
        run(7, **odd),
        replace(run(8, **odd), id=str(long), root_id=str(long), url=f"{HOST}/workflow/w1/executions/{long}"),
    ]
    left_out = [
        f"updated_at: {NO_TIME}",
        f"finished_at: {NO_TIME}",
        f"started_at: {NO_TIME}",
        f"updated_at: {NO_TIME}",
        f"status: 'pondering' is none of {', '.join(STATUS)}",
        f"trigger: 'pondering' is none of {', '.join(MODES)}",
        f"updated_at: {NO_TIME}",
        "enabled: has another shape than expected",
        "dependencies: 'type' is missing",
        "tags: has another shape than expected",
    ]
    return truth("what cannot be read", n8n, records, left_out=left_out)


def odd_executions() -> Truth:
    """What is no execution at all is left out, and what the others need is still asked for."""
    longest = 10**17  # with as many digits as an id may have
    n8n = served([execution(1, "error")])
    n8n.executions[longest] = {**execution(2, "error"), "id": str(longest)}
    for number in (1, longest):
        n8n.data[number] = {"resultData": {"error": {"node": STOP}}}
    without_status = execution(7, "success")
    del without_status["status"]
    odd: list[Any] = [
        {**execution(3, "success"), "id": "x3"},
        {**execution(4, "success"), "id": None},
        execution(5, "success", workflowId=5),
        execution(6, "success", workflowId="gone"),
        without_status,
        "odd",
    ]
    failed: dict[str, Any] = {"status": "failed", "exception": "business"}
    records: list[Record] = [
        INTAKE,
        run(1, **failed),
        replace(
            run(2, **failed), id=str(longest), root_id=str(longest), url=f"{HOST}/workflow/w1/executions/{longest}"
        ),
        replace(run(3), id="x3", root_id="x3", url=f"{HOST}/workflow/w1/executions/x3"),
        run(5, url=f"{HOST}/workflow/5/executions/5", workflow=None, owner=None),
        run(6, url=f"{HOST}/workflow/gone/executions/6", workflow="gone", owner=None),
    ]
    return Truth(
        what="odd executions",
        app=rewritten(n8n.app(), "/executions", lambda body: body["data"].extend(odd)),
        secret=("api_key", n8n.key),
        records=records,
        left_out=3  # they are shown as running, as waiting and in the list
        * ["item: 'status' is missing", "id: None is not an id", "item: has another shape than expected"],
    )
