"""Prefect: what its flow runs, their states and its deployments mean. Pure; the package sends the requests."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from exporter.records import ExceptionKind, Json, Read, Run, RunStatus, Workflow, instant, unreadable
from exporter.records.unreadable import ODD, value

STATUS = unreadable.Words[RunStatus](
    "status",
    {
        "SCHEDULED": "waiting",
        "PENDING": "waiting",
        "RUNNING": "running",
        "PAUSED": "waiting",
        "CANCELLING": "running",
        "COMPLETED": "succeeded",
        "FAILED": "failed",
        "CRASHED": "failed",
        "CANCELLED": "cancelled",
    },
)
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

NEEDED = {
    "id",
    "state_id",
    "state",
    "state_type",
    "state_name",
    "run_count",
    "start_time",
    "end_time",
    "expected_start_time",
}


class Words(NamedTuple):
    """What a team's own state names and messages mean."""

    business_states: Collection[str]
    business_messages: Collection[str]
    failed_states: Collection[str]


class Attempt(NamedTuple):
    """One try of a flow run, and the state it is in or was left in."""

    number: int
    queued_at: str | None
    started_at: str | None
    ended_at: str | None
    state: Json
    past: bool


def run(item: Json, attempt: Attempt | None, names: Mapping[str, Json], words: Words, web: str) -> Read | None:
    """One attempt of a flow run as a Run; None for a sub-flow, and for what is only planned."""
    if attempt is None:
        raise ValueError("this is no flow run")
    if item["parent_task_run_id"] or (item["state_type"], item["state_name"]) == ("SCHEDULED", "Scheduled"):
        return None
    # Of a deployment that was deleted the flow is still known.
    described = names.get(item["deployment_id"]) or names.get(item["flow_id"]) or {"workflow_name": item["flow_id"]}
    status, exception = judged(attempt.state, words, attempt.past)
    record = Run(
        id=f"{item['id']}/{attempt.number}" if attempt.past else item["id"],
        url=f"{web}/runs/flow-run/{item['id']}",
        updated_at=value("updated_at", instant, attempt.state["timestamp"]),
        workflow=described["workflow_name"],
        root_id=item["id"],
        attempt=attempt.number,
        queued_at=value("queued_at", instant, attempt.queued_at),
        started_at=value("started_at", instant, attempt.started_at),
        finished_at=value("finished_at", instant, attempt.ended_at),
        status=status,
        exception=exception,
        trigger=value("trigger", trigger, item),
    )
    return Read(record, {**item, **described})


def trigger(item: Json) -> str | None:
    """Who or what made a run."""
    starter: str = (item.get("created_by") or {}).get("type") or ""
    return "schedule" if item.get("auto_scheduled") else starter.lower() or None


def sound(item: Json) -> bool:
    """Can books be kept on this run? One that cannot is skipped, and counted, where it is mapped."""
    with suppress(*ODD):
        if item.keys() >= NEEDED and isinstance(item["run_count"], int):
            instant(item["end_time"])
            return isinstance(item["id"], str) and isinstance(item["state"], dict)
    return False


def judged(state: Json, words: Words, past: bool) -> tuple[RunStatus, ExceptionKind | None]:
    """What a state means for its attempt. A flow's own retry hides how the try before failed, but for the message."""
    status = "failed" if past and state["type"] not in ENDED else STATUS[state["type"]]
    if status == "succeeded" and state["name"] in words.failed_states:
        status = "failed"
    if state["name"] in words.business_states:
        return status, "business"
    if status != "failed":
        return status, "none" if state["type"] in ENDED else None
    accident = state["type"] == "CRASHED" or state["name"] == "TimedOut"
    said = any(word in (state["message"] or "") for word in words.business_messages)
    return status, "business" if said and not accident else "application"


def attempts(item: Json, states: Sequence[Json]) -> list[Attempt]:
    """The tries of a flow run, the last in its present state. `states` is its history, needed where it was retried."""
    ended_at = item["end_time"] if item["state_type"] in ENDED else None
    started_at = item["start_time"] if item["run_count"] else None  # one cancelled before it began has a start_time too
    if not retried(item):
        return [Attempt(1, item["expected_start_time"], started_at, ended_at, item["state"], past=False)]
    with suppress(*ODD):
        return tried(item, sorted(states, key=lambda state: str(instant(state["timestamp"]))), ended_at)
    number = item["run_count"] + (item["state_name"] == "AwaitingRetry")
    lost = {"type": None, "name": None, "message": None, "timestamp": started_at}
    return [
        Attempt(1, item["expected_start_time"], started_at, None, lost, past=True),
        Attempt(number, None, None, ended_at, item["state"], past=False),
    ]


def retried(item: Json) -> bool:
    """Has it had, or does it wait for, a second try? All tries have one id."""
    return bool(item["run_count"] > 1 or (item["run_count"] and item["state_name"] == "AwaitingRetry"))


def tried(item: Json, states: Sequence[Json], ended_at: str | None) -> list[Attempt]:
    """The tries in a history. One begins when it runs, and goes on through pauses until it ends or is queued anew."""
    past: list[Attempt] = []
    queued_at, started_at = item["expected_start_time"], None
    for state in states:
        if started_at is None:
            queued_at = queued_at or state["timestamp"]
            started_at = state["timestamp"] if state["type"] == "RUNNING" else None
        elif state["type"] in (*ENDED, "PENDING") or state["name"] == "AwaitingRetry":
            if state["id"] == item["state"]["id"] and state["type"] in ENDED:
                break
            past.append(Attempt(len(past) + 1, queued_at, started_at, state["timestamp"], state, past=True))
            queued_at, started_at = None if state["type"] in ENDED else state["timestamp"], None
    if not past:
        raise ValueError("a history without a second try")
    return [*past, Attempt(len(past) + 1, queued_at, started_at, ended_at, item["state"], past=False)]


def workflow(item: Json, names: Mapping[str, Json], web: str) -> Read:
    """A deployment. It can run unless it is paused, or has schedules of which none is active."""
    described = names[item["id"]]
    pool = item.get("work_pool_name")
    record = Workflow(
        id=item["id"],
        url=f"{web}/deployments/deployment/{item['id']}",
        updated_at=value("updated_at", instant, item.get("updated")),
        name=described["workflow_name"],
        enabled=value("enabled", enabled, item),
        dependencies=(f"system:{pool}",) if pool else (),
        exportable=True,  # a flow is Python code
    )
    return Read(record, {**item, **described})


def enabled(item: Json) -> bool:
    schedules = [schedule["active"] for schedule in item["schedules"]]
    return not item["paused"] and (not schedules or any(schedules))


def described(flows: Sequence[Json], deployments: Sequence[Json]) -> dict[str, Json]:
    """By id of a deployment or flow: what its runs are called. Prefect itself writes flow/deployment."""
    names: dict[str, Json] = {flow["id"]: {"workflow_name": flow["name"], "flow_name": flow["name"]} for flow in flows}
    for item in deployments:
        flow_id = item.get("flow_id")
        flow = names.get(flow_id, {}).get("flow_name") or flow_id if isinstance(flow_id, str) else None
        name = f"{flow}/{item['name']}" if flow else item["name"]
        words = {"workflow_name": name, "flow_name": flow, "deployment_name": item["name"]}
        names[item["id"]] = words
    return names
