"""Airflow: what its DAG runs, DAGs and event log mean. Pure; the package sends the requests."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from exporter.records import ExceptionKind, Json, Read, Run, RunStatus, Workflow, instant, unreadable
from exporter.records.unreadable import ODD, value

STATUS = unreadable.Words[RunStatus](
    "status", {"queued": "waiting", "running": "running", "success": "succeeded", "failed": "failed"}
)
ENDED = ("success", "failed")

KINDS: Mapping[str, str] = {  # what was done with a run, or with tasks of it; in 2.x after "api." or "ui."
    "clear": "clear",
    "clear_dag_run": "clear",
    "clear_dag_runs": "clear",
    "dagrun_clear": "clear",
    "post_clear_task_instances": "clear",
    "bulk_dag_runs": "state",
    "dagrun_failed": "state",
    "dagrun_queued": "state",
    "dagrun_success": "state",
    "patch_dag_run": "state",
    "update_dag_run_state": "state",
    "bulk_task_instances": "task",
    "patch_task_instance": "task",
    "post_set_task_instances_state": "task",
    "update_hitl_detail": "answer",  # to a question that a task has put to people, from 3.1 on
}
DELETED = "delete_dag_run"
FORMS = {
    "clear": "",
    "dagrun_clear": "",
    "dagrun_failed": "failed",
    "dagrun_queued": "queued",
    "dagrun_success": "success",
}
"""Sent by the pages of 2.x -> the state that they set."""
TASK = {"running": True, "success": False, "failed": True, "up_for_retry": True, "skipped": False}
"""What tasks write into the event log, and whether a task that wrote this last had not come to a good end."""
NAMES = (*KINDS, DELETED)
EVERY_ACT = (*NAMES, *(f"{prefix}.{name}" for prefix in ("api", "ui") for name in NAMES))


class Act(NamedTuple):
    """Something that was done with a run from outside."""

    dag_id: str
    run_id: str
    at: str
    kind: str  # clear, state, task, answer or delete
    state: str | None
    by: str | None
    began: str | None = None  # of a clear that no line names: begin of the attempt that failed at `at`, and ran again

    @property
    def key(self) -> str:
        return f"{self.dag_id}:{self.run_id}"


class Words(NamedTuple):
    """What the words of a team mean."""

    bots: Collection[str]
    business_tasks: Collection[str]
    default_owner: str


class Attempt(NamedTuple):
    """One pass through a run: cleared runs have several. `human` and `failed` (tasks) are None where unknown."""

    number: int | None
    queued_at: str | None
    started_at: str | None
    ended_at: str | None
    state: str | None
    human: bool | None
    failed: Collection[str] | None = None
    past: bool = False


def key_of(item: Json) -> str:
    """The id of a run: dag_run_id alone is unique within its DAG only. No DAG id has a colon."""
    return f"{item['dag_id']}:{item['dag_run_id']}"


def sound(item: Json) -> bool:
    """Whether it can be told which run this is. One that cannot is left out, and counted, where it is mapped."""
    return isinstance(item, dict) and all(isinstance(item.get(name), str) for name in ("dag_id", "dag_run_id", "state"))


def changed_at(item: Json) -> str | None:
    """The latest time that a run tells of itself. When it was changed is later, and is not told."""
    latest: datetime | None = None
    for name in ("queued_at", "start_date", "last_scheduling_decision", "end_date"):
        with suppress(*ODD):
            moment = instant(item.get(name))
            latest = max(moment, latest) if moment and latest else moment or latest
    return latest.isoformat() if latest else None


def born_at(item: Json) -> str | None:
    """What never changes of a run; 2.x has no run_after."""
    born: str | None = item.get("run_after") or item.get("logical_date")
    return born


def run(item: Json, attempt: Attempt | None, dag: Json, words: Words, web: str) -> Read | None:
    """One attempt of a DAG run as a Run; None for a run of `dags test`."""
    if attempt is None:
        raise ValueError("this is no DAG run")
    if item.get("triggered_by") == "test":
        return None
    status = None if attempt.state is None else STATUS[attempt.state]
    key = key_of(item)
    owners = owned(dag, words.default_owner)
    record = Run(
        id=f"{key}/{attempt.number}" if attempt.past else key,
        url=run_url(item, web),
        workflow=item["dag_id"],
        root_id=None if attempt.number is None else key,  # which says that all its attempts are known
        attempt=attempt.number,
        queued_at=value("queued_at", instant, attempt.queued_at),
        started_at=value("started_at", instant, attempt.started_at),
        finished_at=value("finished_at", instant, attempt.ended_at),
        status=status,
        exception=exception(attempt, words),
        human_override=attempt.human,
        trigger=item.get("run_type"),
        owner=owners[0] if owners else None,
    )
    return Read(record, {**item, "dag": dag})


def run_url(item: Json, web: str) -> str:
    dag, run = quote(item["dag_id"], safe=""), quote(item["dag_run_id"], safe="")
    return f"{web}/dags/{dag}/runs/{run}" if "run_after" in item else f"{web}/dags/{dag}/grid?dag_run_id={run}"


def exception(attempt: Attempt, words: Words) -> ExceptionKind | None:
    """What kind of failure it was. Without a list of tasks that reject work, none is known to be of business."""
    if attempt.state not in ENDED:
        return None
    if attempt.state != "failed":
        return "none"
    if not words.business_tasks:
        return "application"
    if attempt.failed is None:
        return None
    return "business" if any(task in words.business_tasks for task in attempt.failed) else "application"


def workflow(item: Json, words: Words, web: str) -> Read:
    """A DAG. One whose file is gone is kept by Airflow, but does not run."""
    record = Workflow(
        id=item["dag_id"],
        url=f"{web}/dags/{quote(item['dag_id'], safe='')}",
        name=item["dag_id"],
        enabled=value("enabled", enabled, item),
        owners=value("owners", lambda item: owned(item, words.default_owner), item, failed=()) or (),
        exportable=True,  # a DAG is Python code
    )
    return Read(record, item)


def enabled(item: Json) -> bool:
    there = not item["is_stale"] if "is_stale" in item else bool(item["is_active"])
    return bool(there and not item["is_paused"])


def owned(dag: Json, default_owner: str) -> tuple[str, ...]:
    """Who owns a DAG. The owner that Airflow names by default owns nothing."""
    return tuple(owner for owner in dag.get("owners") or () if owner != default_owner)


def acts(event: Json) -> Iterator[Act]:
    """What a line of the event log says was done, with each run it names; nothing for a preview, or a mere note."""
    name = event["event"].removeprefix("api.").removeprefix("ui.")
    extra = told(event)
    kind = "delete" if name == DELETED else KINDS.get(name, "")
    if preview(name, kind, extra):
        return
    for each in entities(extra):
        dag_id, run_id = each.get("dag_id") or event.get("dag_id"), each.get("dag_run_id") or event.get("run_id")
        state = FORMS.get(name) or each.get("state") or each.get("new_state")
        its = "delete" if each.get("action") == "delete" else kind
        if state == "queued":
            its = "clear"  # it is done once more
        if dag_id and run_id and (state or its in ("clear", "delete", "answer")):
            yield Act(dag_id, run_id, event["when"], its, state, event.get("owner"))


def line_of(event: Json) -> tuple[int, datetime, list[Act]]:
    """A line of the event log: its number, when it was written, and what it says was done."""
    return int(event["event_log_id"]), moment(event["when"]), list(acts(event))


def told(event: Json) -> Json:
    """What else the log has of an event: a JSON object, mostly what was sent."""
    with suppress(*ODD):
        extra = json.loads(event["extra"])
        return extra if isinstance(extra, dict) else {}
    return {}


def entities(extra: Json) -> list[Json]:
    """What is said of each run, where several were meant."""
    if isinstance(extra.get("actions"), list):
        named = [(each, action.get("action")) for action in extra["actions"] for each in action.get("entities") or ()]
        return [
            {**(each if isinstance(each, dict) else {"dag_run_id": each}), "action": action} for each, action in named
        ]
    return extra["dag_runs"] if isinstance(extra.get("dag_runs"), list) else [extra]


def preview(name: str, kind: str, extra: Json) -> bool:
    """Whether nothing was done yet: people are shown first what would be. To say nothing means that, but in 3.x."""
    if name in FORMS:
        return bool(extra.get("confirmed") != "true")
    if kind == "clear":
        return extra.get("dry_run") is not False
    return kind == "task" and bool(extra.get("dry_run", "method" not in extra))


def attempts(item: Json, log: Sequence[Json] | None, known: Collection[Act], words: Words) -> list[Attempt]:
    """The attempts of a run, the last in its present state: from its event log (None: it cannot be read), and from
    acts that lack there."""
    done = {*known, *(act for event in log or () for act in acts(event) if act.key == key_of(item))}
    started = instant(item.get("start_date"))
    # A finished run that is cleared gets a new start; what is cleared in one that goes on is part of its attempt.
    clears = [act for act in done if act.kind == "clear" and (started is None or moment(act.at) < started)]
    tasks = [event for event in log or () if event["event"] in TASK and event.get("try_number") is not None]
    lines: list[tuple[datetime, Act | Json]] = [(moment(act.at), act) for act in done]
    lines += [(moment(event["when"]), event) for event in tasks]
    parts: list[list[Act | Json]] = [[]]
    for _, line in sorted(lines, key=lambda each: (each[0], isinstance(each[1], Act))):
        # Where it was cleared before and has not begun again since, it goes on waiting.
        again = len(parts) == 1 or any(not isinstance(each, Act) and each["event"] == "running" for each in parts[-1])
        if line in clears and (again or line.began):
            parts.append([])
        parts[-1].append(line)
    past = [
        seen(attempt_of(part, number, words, log is not None), parts[number][0])
        for number, part in enumerate(parts[:-1], 1)
    ]
    last = attempt_of(parts[-1], len(parts), words, log is not None)
    ended_at = item.get("end_date") if item["state"] in ENDED else None
    # A queue is told of in 3.x alone; where a run was cleared, it was queued then.
    queued_at = item.get("queued_at") or last.queued_at
    now = last._replace(
        queued_at=queued_at, started_at=item.get("start_date"), ended_at=ended_at, state=item["state"], past=False
    )
    return [*past, now]


def seen(attempt: Attempt, opener: Act | Json) -> Attempt:
    """What is known better of a past attempt, where it was seen before it was cleared."""
    if isinstance(opener, Act) and opener.began:
        return attempt._replace(started_at=opener.began, ended_at=opener.at, state="failed")
    return attempt


def attempt_of(part: Sequence[Act | Json], number: int, words: Words, logged: bool) -> Attempt:
    """What the lines of the event log tell of one attempt; the first line of a later one is its clearing."""
    done = [line for line in part if isinstance(line, Act)]
    tasks = [line for line in part if not isinstance(line, Act)]
    last = {(task.get("task_id"), task.get("map_index")): task["event"] for task in tasks}
    end = part[-1] if part else None
    failed = sorted({str(task) for (task, _), event in last.items() if TASK[event]})
    marks = [act.state for act in done if act.kind == "state" and act.state]
    by_whom = [act.by for act in done if not act.began]
    known = logged and (bool(by_whom) or not done)
    return Attempt(
        number=number,
        queued_at=next((act.at for act in done if act.kind == "clear" and not act.began), None) if number > 1 else None,
        started_at=next((task["when"] for task in tasks if task["event"] == "running"), None),
        ended_at=end.at if isinstance(end, Act) else end["when"] if end else None,
        # Where the log does not reach back to it, nothing is known of it but that it was.
        state=marks[-1] if marks else "failed" if failed else "success" if tasks else None,
        human=any(each not in words.bots for each in by_whom) if known else None,
        failed=failed or None,
        past=True,
    )


def moment(text: str) -> datetime:
    found = instant(text)
    if found is None:
        raise ValueError("an event without a time")
    return found


def only_attempt(item: Json, human: bool | None) -> Attempt:
    """The attempt of a run that nobody has touched."""
    ended_at = item.get("end_date") if item["state"] in ENDED else None
    number = None if human is None else 1
    return Attempt(number, item.get("queued_at"), item.get("start_date"), ended_at, item["state"], human)
