"""n8n: what its executions and workflows mean. Pure; the package sends the requests."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from exporter.records import ExceptionKind, Json, Read, Run, RunStatus, Workflow, instant
from exporter.records.unreadable import ODD, Words, value

STATUS = Words[RunStatus](
    "status",
    {
        "success": "succeeded",
        "error": "failed",
        "crashed": "failed",
        "canceled": "cancelled",  # by a person or by the workflow's time limit
        "new": "waiting",
        "waiting": "waiting",
        "running": "running",
        "unknown": "running",
    },
)
OPEN = ("new", "waiting", "running", "unknown")
MODES = Words(  # is it work of its own? The others are tests, parts of another run, or its aftermath
    "trigger",
    {
        **dict.fromkeys(("trigger", "webhook", "retry", "chat", "agent"), True),
        **dict.fromkeys(("manual", "integrated", "error", "evaluation", "internal", "cli"), False),
    },
)
DESCRIPTION = ("workflow_name", "tags", "project")  # added to every item, for the mapping of segments
UNKNOWN: Json = {"workflow_name": None, "project": None}  # as long as the workflow cannot be asked about
KINDS: dict[str, ExceptionKind] = {"business": "business", "application": "application"}


def run(
    item: Json, about: Mapping[str, Json], facts: Mapping[str, Json], modes: Collection[str], web: str
) -> Read | None:
    """An execution as a Run; None where it, or what it retries, is no work of its own."""
    fact = facts.get(item["id"], {"root": item["id"], "attempt": 1, "mode": item["mode"], "exception": None})
    if not all(MODES[mode] or mode in modes for mode in (item["mode"], fact["mode"])):
        return None
    word, described = item["status"], about.get(item["workflowId"], UNKNOWN)
    ended = word not in OPEN
    exception: dict[str, ExceptionKind | None] = {"error": fact["exception"], "crashed": "application"}
    record = Run(
        id=item["id"],
        url=f"{web}/workflow/{item['workflowId']}/executions/{item['id']}",
        updated_at=value("updated_at", instant, item["stoppedAt"] or item["startedAt"]),
        workflow=described["workflow_name"],
        root_id=fact["root"],
        attempt=fact["attempt"],
        started_at=value("started_at", instant, item["startedAt"]),
        # A waiting one has a stoppedAt too; a crashed one's is that of its last event, not of its end.
        finished_at=value("finished_at", instant, item["stoppedAt"]) if ended and word != "crashed" else None,
        status=STATUS[word],
        exception=exception.get(word, "none" if ended else None),
        trigger=item["mode"],
        owner=described["project"],
    )
    return Read(record, {**item, **described})


def kind(execution: Json) -> ExceptionKind | None:
    """What a failed execution's data says: its workflow's own word, the Stop And Error node, or else an accident."""
    with suppress(*ODD):  # no data, or too much to be shown
        error = execution["data"]["resultData"]["error"]
        for word in ((execution.get("customData") or {}).get("exception_kind"), error.get("type")):
            if word in KINDS:
                return KINDS[word]
        stopped = (error.get("node") or {}).get("type") == "n8n-nodes-base.stopAndError"
        return "business" if stopped else "application"
    return None


def workflow(item: Json, projects: Mapping[str, str], web: str) -> Read:
    """A workflow, with the words that its executions are described by too."""
    described = description(item, projects)
    record = Workflow(
        id=item["id"],
        url=f"{web}/workflow/{item['id']}",
        updated_at=value("updated_at", instant, item.get("updatedAt")),
        name=described["workflow_name"],
        enabled=value("enabled", truth, item.get("active")) and not item.get("isArchived"),
        owners=(described["project"],) if described["project"] else (),
        dependencies=value("dependencies", dependencies, item.get("nodes")) or (),
        exportable=True,  # every workflow can be downloaded as JSON
    )
    return Read(record, {**item, **described})


def truth(given: Json) -> bool:
    if not isinstance(given, bool):
        raise TypeError
    return given


def description(item: Json, projects: Mapping[str, str]) -> Json:
    """A workflow's name, tags and project (its name, where `projects` or the item tells it)."""
    tags = value("tags", lambda tags: [tag["name"] for tag in tags], item.get("tags") or ()) or []
    its = project(item)
    named = team(item) or projects.get(its.get("id", ""), its.get("id"))
    name = item.get("name")
    return {"workflow_name": name if name and isinstance(name, str) else item["id"], "tags": tags, "project": named}


def project(item: Json) -> dict[str, str]:
    """The project a workflow belongs to: in lists only its id, of a single workflow also its name and type."""
    with suppress(*ODD):
        shared = item["shared"][0]
        return {"id": shared["projectId"], **(shared.get("project") or {})}
    return {}


def team(item: Json) -> str | None:
    """The name of a workflow's project. A personal one is called after a person, so its id has to do."""
    its = project(item)
    return its.get("name") if its.get("type") == "team" else None


def dependencies(nodes: list[Json]) -> tuple[str, ...]:
    """What the nodes need: credentials and the systems they open, hosts called, packages that n8n does not bring."""
    found = set()
    for node in nodes:
        package, _, system = node["type"].rpartition(".")
        for credential in (node.get("credentials") or {}).values():
            found |= {f"credential:{credential['name']}", f"system:{system}"}
        url = (node.get("parameters") or {}).get("url")
        if isinstance(url, str) and url.startswith("http"):
            found.add(f"api:{urlsplit(url).hostname}")
        if package != "n8n-nodes-base" and not package.startswith("@n8n/"):
            found.add(f"plugin:{package}")
    return tuple(sorted(found))
