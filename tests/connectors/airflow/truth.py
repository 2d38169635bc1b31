"""What runs, DAGs and lines of the event log of Airflow are: as its API writes them, and what they must become."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.airflow.mapping import STATUS
from exporter.records import Record, Run, Workflow
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Enum, Truth, rewritten
from tests.fakes.airflow import Airflow

ENUMS = (
    Enum("airflow-2.11.0-rest-v1.yaml", "components/schemas/DagState/enum", STATUS),
    Enum("airflow-3.3.2-rest-v2.yaml", "components/schemas/DagRunState/enum", STATUS),
)
TECHNICAL = {"page_size", "overlap_seconds"}
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(number: int, second: float = 0) -> datetime:
    """A second of the minute in which the run of a number is queued, 10 before it starts and 40 before it ends."""
    return NOON + timedelta(minutes=10 * number, seconds=second)


def ran(airflow: Airflow, number: int, state: str = "success", **more: Any) -> str:
    """A run, done."""
    key = airflow.trigger("sync", at(number), f"r+{number}", **more)
    airflow.start(key, at(number, 10))
    airflow.end(key, at(number, 40), state)
    return key


def again(airflow: Airflow, key: str, begin: datetime, state: str = "success") -> None:
    """A further pass of a run that was cleared."""
    airflow.start(key, begin)
    airflow.end(key, begin + 9 * SECOND, state)


def run(number: int, **columns: Any) -> Run:
    """A run of Airflow 3 that succeeded, but for what is said of it."""
    usual = {
        "id": f"sync:r+{number}",
        "url": f"{HOST}/dags/sync/runs/r%2B{number}",
        "workflow": "sync",
        "root_id": f"sync:r+{number}",
        "attempt": 1,
        "queued_at": at(number),
        "started_at": at(number, 10),
        "finished_at": at(number, 40),
        "status": "succeeded",
        "exception": "none",
        "human_override": False,
        "trigger": "manual",
    }
    return Run(**{**usual, **columns})


def first(number: int, **columns: Any) -> Run:
    """The first of several attempts: it failed, and when it was queued is known no more."""
    usual = {"id": f"sync:r+{number}/1", "queued_at": None, "status": "failed", "exception": "application"}
    return run(number, **{**usual, **columns})


def two(record: Run) -> Run:
    """The same in Airflow 2: it does not say when a run was queued, but where it was cleared."""
    number = str(record.root_id).rpartition("+")[2]
    queued_at = record.queued_at if record.attempt and record.attempt > 1 else None
    return replace(record, url=f"{HOST}/dags/sync/grid?dag_run_id=r%2B{number}", queued_at=queued_at)


def workflow(dag_id: str = "sync", **columns: Any) -> Workflow:
    usual = {"id": dag_id, "url": f"{HOST}/dags/{dag_id}", "name": dag_id, "enabled": True, "exportable": True}
    return Workflow(**{**usual, **columns})


def server(release: str = "3.3.2") -> Airflow:
    airflow = Airflow(release=release)
    airflow.add_dag("sync")
    return airflow


def truth(what: str, airflow: Airflow, records: list[Record], **others: Any) -> Truth:
    if airflow.three:
        others["secret"] = ("token", airflow.token())
    else:
        airflow.open = True
    return Truth(what=what, app=airflow.app(), records=records, **others)


def truths(_folder: Path) -> Iterator[Truth]:
    yield states("3.3.2")
    yield pages_of_two()
    yield many_at_once()
    yield cleared("3.3.2")
    yield business()
    yield dags()
    yield tasks()
    yield acts("3.3.2")
    for each in (states, cleared, acts):
        yield each("2.11.0")
    yield dags_of_two()
    yield answers()
    yield without_the_log()
    yield what_cannot_be_read()
    yield odd_lines()
    yield log_that_was_cleaned()
    yield tasks_before_a_clear()


def of(release: str, *records: Run) -> list[Record]:
    return [workflow(), *(records if release.startswith("3") else map(two, records))]


def states(release: str) -> Truth:
    """Every state, and what makes runs. What `dags test` makes is none."""
    airflow = server(release)
    airflow.trigger("sync", at(1), "r+1")
    airflow.start(airflow.trigger("sync", at(2), "r+2"), at(2, 10))
    ran(airflow, 3, run_type="scheduled")
    ran(airflow, 4, "failed", run_type="backfill")
    three = release.startswith("3")
    ran(airflow, 5, **({"triggered_by": "test"} if three else {"run_type": "dataset_triggered"}))
    going_on: dict[str, Any] = {"exception": None, "finished_at": None}
    runs = [
        run(1, status="waiting", started_at=None, **going_on),
        run(2, status="running", **going_on),
        run(3, trigger="scheduled"),
        run(4, trigger="backfill", status="failed", exception="application"),
        *([] if three else [run(5, trigger="dataset_triggered")]),
    ]
    return truth(f"states, {release}", airflow, of(release, *runs))


def cleared(release: str) -> Truth:
    """What is cleared is a new attempt under the same id, whatever it came to before, unless it had not ended."""
    airflow = server(release)
    for number, before in ((1, "failed"), (2, "success"), (3, "up_for_retry"), (4, "skipped"), (5, "failed")):
        key = ran(airflow, number, "failed" if before in ("failed", "up_for_retry") else "success")
        airflow.log[-1]["event"] = before
        airflow.clear(key, at(number, 100), preview=True)
        airflow.clear(key, at(number, 101), "ci" if number == 2 else "ana")
        if number == 3:
            airflow.clear(key, at(number, 103))  # once more, before it began
        if number != 5:
            again(airflow, key, at(number, 110), "failed" if number == 4 else "success")
    airflow.clear("sync:r+1", at(1, 200))
    again(airflow, "sync:r+1", at(1, 210))
    airflow.clear("sync:r+1", at(1, 300), preview=True)
    going_on = airflow.trigger("sync", at(6), "r+6")
    airflow.start(going_on, at(6, 10))
    airflow.clear(going_on, at(6, 20))  # of a task, while it goes on
    if airflow.three:
        airflow.runs[going_on]["queued_at"] = at(6)
    airflow.start(going_on, at(6, 25))
    airflow.end(going_on, at(6, 40))

    def later(number: int, second: float, attempt: int = 2, **columns: Any) -> Run:
        queued_at = at(number, 103 if number == 3 and airflow.three else second)
        times = {"queued_at": queued_at, "started_at": at(number, second + 9), "finished_at": at(number, second + 18)}
        return run(number, attempt=attempt, **{"human_override": True, **times, **columns})

    between = later(1, 101, id="sync:r+1/2")
    waiting: dict[str, Any] = {"status": "waiting", "exception": None, "started_at": None, "finished_at": None}
    runs = [
        first(1),
        between,
        later(1, 200, 3, started_at=at(1, 210), finished_at=at(1, 219)),
        first(2, status="succeeded", exception="none"),
        later(2, 101, human_override=False),
        first(3),
        later(3, 101),
        first(4, status="succeeded", exception="none"),
        later(4, 101, status="failed", exception="application"),
        first(5),
        later(5, 101, **waiting),
        run(6, human_override=True),
    ]
    return truth(f"cleared, {release}", airflow, of(release, *runs), options={"bots": ["ci"]})


def acts(release: str) -> Truth:
    """What people set, notes and what automations set; and a run that was deleted."""
    airflow = server(release)
    for number in range(1, 6):
        ran(airflow, number, "failed")
    airflow.mark("sync:r+1", at(1, 60), "success")
    airflow.mark("sync:r+2", at(2, 60), "success", "ci")
    note = airflow.event("patch_dag_run", "set_dag_run_note")
    airflow.line(note, at(3, 60), airflow.runs["sync:r+3"], "ana", {"note": "known"})
    airflow.delete("sync:r+4", at(4, 60))
    # A success by hand, cleared: it was one. A failure by hand, too.
    airflow.mark("sync:r+5", at(5, 60), "success")
    airflow.clear("sync:r+5", at(5, 100))
    again(airflow, "sync:r+5", at(5, 110))
    ran(airflow, 6)
    airflow.mark("sync:r+6", at(6, 60), "failed")
    airflow.mark("sync:r+6", at(6, 100), "queued")  # it is done once more
    airflow.reopen("sync:r+6", at(6, 100))
    airflow.change("sync:r+6", at(6, 100), state="queued", start_date=None, end_date=None)
    again(airflow, "sync:r+6", at(6, 110))
    failed: dict[str, Any] = {"status": "failed", "exception": "application"}

    def second(number: int) -> Run:
        times = {"queued_at": at(number, 100), "started_at": at(number, 110), "finished_at": at(number, 119)}
        return run(number, attempt=2, human_override=True, **times)

    runs = [
        run(1, finished_at=at(1, 60), human_override=True),
        run(2, finished_at=at(2, 60)),
        run(3, **failed),
        first(5, status="succeeded", exception="none", finished_at=at(5, 60), human_override=True),
        second(5),
        first(6, finished_at=at(6, 60), human_override=True),
        second(6),
    ]
    return truth(f"acts, {release}", airflow, of(release, *runs), options={"bots": ["ci"]})


def answers() -> Truth:
    """What people answer a task that asks them, in one attempt of two, and what an automation answers."""
    airflow = server()
    for number, by in ((1, "ana"), (2, "ci"), (3, "ana")):
        ran(airflow, number, "failed" if number == 3 else "success")
        its = airflow.runs[f"sync:r+{number}"]
        said = {"chosen_options": ["Approve"], "params_input": {}, "method": "PATCH"}
        airflow.line("update_hitl_detail", at(number, 30), its, by, said, task_id="ask", map_index=-1)
    airflow.clear("sync:r+3", at(3, 100), "ci")
    again(airflow, "sync:r+3", at(3, 110))
    times = {"queued_at": at(3, 100), "started_at": at(3, 110), "finished_at": at(3, 119)}
    runs = [run(1, human_override=True), run(2), first(3, human_override=True), run(3, attempt=2, **times)]
    return truth("answers", airflow, of("3.3.2", *runs), options={"bots": ["ci"]})


def pages_of_two() -> Truth:
    """What the pages of Airflow 2 write: forms that are confirmed, and its own names of what the API does, too."""
    airflow = server("2.11.0")
    for number in range(1, 9):
        ran(airflow, number, "failed")
    forms = ("clear", "dagrun_clear", "dagrun_queued")
    for number, form in enumerate(forms, 1):
        for second, confirmed in ((99, "false"), (100, "true")):
            airflow.line(form, at(number, second), airflow.runs[f"sync:r+{number}"], "ana", {"confirmed": confirmed})
        airflow.reopen(f"sync:r+{number}", at(number, 100))
        again(airflow, f"sync:r+{number}", at(number, 110))
    for number, form in ((4, "dagrun_success"), (5, "dagrun_failed")):
        airflow.line(form, at(number, 60), airflow.runs[f"sync:r+{number}"], "ana", {"confirmed": "true"})
    airflow.line("dagrun_failed", at(6, 60), airflow.runs["sync:r+6"], "ana", {"confirmed": "false"})
    airflow.clear("sync:r+7", at(7, 100), event="ui.clear_dag_run")
    again(airflow, "sync:r+7", at(7, 110))
    airflow.clear("sync:r+8", at(8, 100), event="clear_dag_run")  # says nothing of a form: seen before it was done
    airflow.log[-1]["extra"] = None
    again(airflow, "sync:r+8", at(8, 110), "failed")
    # What was set by hand before a clear was so, whatever the tasks say; what people do with tasks is no task's line.
    for number, state, form in ((9, "failed", "dagrun_success"), (10, "success", "dagrun_failed"), (11, "success", "")):
        its = airflow.runs[ran(airflow, number, state)]
        airflow.line(form or "failed", at(number, 60), its, "ana", {"confirmed": "true"})
        airflow.clear(f"sync:r+{number}", at(number, 100))
        again(airflow, f"sync:r+{number}", at(number, 110))
    failed: dict[str, Any] = {"status": "failed", "exception": "application"}
    times = [
        {"queued_at": at(number, 100), "started_at": at(number, 110), "finished_at": at(number, 119)}
        for number in range(12)
    ]
    good: dict[str, Any] = {"status": "succeeded", "exception": "none"}
    runs = [
        *(first(number) for number in (1, 2, 3, 7)),
        *(run(number, attempt=2, human_override=True, **times[number]) for number in (1, 2, 3, 7, 9, 10, 11)),
        first(9, **good, finished_at=at(9, 60), human_override=True),
        first(10, finished_at=at(10, 60), human_override=True),
        first(11, **good),
        *(run(number, human_override=True, **failed) for number in (4, 5)),
        run(6, **failed),
        run(8, **{**failed, **times[8]}),
    ]
    return truth("pages of Airflow 2", airflow, of("2", *runs))


def many_at_once() -> Truth:
    """What is done with several runs at once names them in what was sent, and not in the line itself."""
    airflow = server()
    for number in range(1, 8):
        ran(airflow, number, "failed")
    several = [{"dag_run_id": "r+1", "dag_id": "sync"}, {"dag_run_id": "r+2"}]
    airflow.line("clear_dag_runs", at(8), {"dag_id": "sync"}, "ana", {"dry_run": False, "dag_runs": several})
    both = [{"dag_run_id": "r+7", "dag_id": "sync"}]
    airflow.line("clear_dag_runs", at(8), {"dag_id": "sync"}, "ana", {"dry_run": True, "dag_runs": both})
    airflow.line("post_clear_task_instances", at(8), {"dag_id": "sync"}, "ana", {"dry_run": False, "dag_run_id": "r+3"})
    for number in (1, 2, 3):
        airflow.reopen(f"sync:r+{number}", at(8))
        again(airflow, f"sync:r+{number}", at(8, 110))
    update = {"action": "update", "entities": [{"dag_run_id": "r+4", "dag_id": "sync", "state": "failed"}]}
    noted = {"action": "update", "entities": [{"dag_run_id": "r+6", "dag_id": "sync", "note": "known"}]}
    delete = {"action": "delete", "entities": ["r+5"]}
    nothing = {"action": "create"}
    del airflow.runs["sync:r+5"]
    airflow.line("bulk_dag_runs", at(8), {"dag_id": "sync"}, "ana", {"actions": [update, nothing, noted, delete]})
    ran(airflow, 8, "failed")
    success = {"action": "update", "entities": [{"dag_run_id": "r+8", "dag_id": "sync", "state": "success"}]}
    airflow.line("bulk_dag_runs", at(8, 60), {"dag_id": "sync"}, "ana", {"actions": [success]})
    airflow.clear("sync:r+8", at(8, 100))
    again(airflow, "sync:r+8", at(8, 110))
    everywhere = {"action": "update", "entities": [{"dag_run_id": "r+6", "note": "known"}]}
    airflow.line("bulk_dag_runs", at(8), {"dag_id": "~"}, "ana", {"actions": [everywhere]})
    failed: dict[str, Any] = {"status": "failed", "exception": "application"}
    times = {"queued_at": at(8), "started_at": at(8, 110), "finished_at": at(8, 119)}
    records: list[Record] = [
        workflow(),
        *(first(number) for number in (1, 2, 3)),
        *(run(number, attempt=2, human_override=True, **times) for number in (1, 2, 3)),
        run(4, human_override=True, **failed),
        run(6, **failed),
        run(7, **failed),
        first(8, status="succeeded", exception="none", finished_at=at(8, 60), human_override=True),
        run(8, attempt=2, human_override=True, **{**times, "queued_at": at(8, 100)}),
    ]
    return truth("many at once", airflow, records)


def tasks() -> Truth:
    """States of tasks that people set; in Airflow 2 a preview says so, or says nothing."""
    airflow = server()
    for number in range(1, 5):
        ran(airflow, number)
    of_run = [airflow.runs[f"sync:r+{number}"] for number in range(1, 5)]
    airflow.line("patch_task_instance", at(1, 50), of_run[0], "ana", {"new_state": "success"})
    entities = [{"task_id": "work", "dag_run_id": "r+2", "dag_id": "sync", "new_state": "success"}]
    airflow.line("bulk_task_instances", at(2, 50), {"dag_id": "~"}, "ana", {"actions": [{"entities": entities}]})
    airflow.line("patch_task_instance", at(3, 50), of_run[2], "ana", {"note": "known"})
    airflow.line("patch_task_instance", at(4, 50), of_run[3], "ana", {"new_state": "success", "dry_run": True})
    old: dict[str, Any] = {"new_state": "success"}
    records: list[Record] = [
        workflow(),
        run(1, human_override=True),
        run(2, human_override=True),
        run(3),
        run(4),
    ]
    for number, more in ((5, {"dry_run": False}), (6, {"dry_run": True}), (7, {})):
        ran(airflow, number)
        airflow.line("api.post_set_task_instances_state", at(number, 50), airflow.runs[f"sync:r+{number}"], "ana")
        airflow.log[-1]["extra"] = str({**old, **more}).replace("'", '"').replace("F", "f").replace("T", "t")
        records.append(run(number, human_override=number == 5))
    return truth("tasks", airflow, records)


def business() -> Truth:
    """Tasks that reject work; what fails beside them, or without any of them, is an application exception."""
    airflow = server()
    ran(airflow, 1)
    airflow.line("paused", at(1, 50), {"dag_id": "sync"}, "ana", {})
    for number, failing in ((2, ["check"]), (3, ["work"]), (4, ["work", "check"]), (5, [])):
        key = airflow.trigger("sync", at(number), f"r+{number}")
        for task in ("check", "work"):
            airflow.start(key, at(number, 10), task)
            airflow.task(key, at(number, 35), task, "failed" if task in failing else "success")
        airflow.change(key, at(number, 40), state="failed", end_date=at(number, 40))
    airflow.clear("sync:r+2", at(2, 100))
    again(airflow, "sync:r+2", at(2, 110))
    failed: dict[str, Any] = {"status": "failed", "exception": "business"}
    records: list[Record] = [
        workflow(),
        run(1),
        first(2, **failed, finished_at=at(2, 35)),
        run(2, attempt=2, human_override=True, queued_at=at(2, 100), started_at=at(2, 110), finished_at=at(2, 119)),
        run(3, status="failed", exception="application"),
        run(4, **failed),
        run(5, status="failed", exception=None),  # which of its tasks failed, the log does not say
    ]
    return truth("business exceptions", airflow, records, options={"business_tasks": ["check"]})


def dags() -> Truth:
    """What is enabled, who owns it, and what the config finds of a run's DAG."""
    airflow = Airflow()
    airflow.add_dag("sync", owners=["nobody", "ann", "ben"], tags=["team:it"])
    airflow.add_dag("paused", is_paused=True)
    airflow.add_dag("stale", is_stale=True, owners=[])
    airflow.add_dag("odd")
    airflow.dags["odd"] = {"dag_id": "odd", "owners": 5, "is_stale": False}
    airflow.execute("gone", at(1), run_id="r+1", seconds=30)
    airflow.runs["gone:r+1"]["start_date"] = at(1, 10)
    airflow.runs["gone:r+1"]["end_date"] = at(1, 40)
    ran(airflow, 2)
    records: list[Record] = [
        workflow(owners=("ann", "ben"), team="it"),
        workflow("paused", enabled=False, owners=("airflow",)),
        workflow("stale", enabled=False),
        workflow("odd", enabled=None),
        run(1, id="gone:r+1", root_id="gone:r+1", workflow="gone", url=f"{HOST}/dags/gone/runs/r%2B1"),
        run(2, owner="ann", team="it"),
    ]
    return truth(
        "DAGs", airflow, records, options={"default_owner": "nobody"},
        fields={
            "run.team": Rule(field="dag.tags", match="team:(.*)"),
            "workflow.team": Rule(field="tags", match="team:(.*)"),
        },
        left_out=["enabled: 'is_paused' is missing", "owners: has another shape than expected"],
    )  # fmt: skip


def dags_of_two() -> Truth:
    """In Airflow 2 a DAG whose file is gone is not active."""
    airflow = server("2.11.0")
    airflow.add_dag("inactive", is_active=False)
    airflow.add_dag("paused", is_paused=True)
    records: list[Record] = [workflow(), workflow("inactive", enabled=False), workflow("paused", enabled=False)]
    return truth("DAGs of Airflow 2", airflow, records)


def without_the_log() -> Truth:
    """Who may not read the event log sees runs, but not which attempt it is, nor what people did."""
    airflow = server()
    airflow.forbidden = {"event_logs"}
    key = ran(airflow, 1, "failed")
    airflow.clear(key, at(1, 100))
    again(airflow, key, at(1, 110))
    airflow.mark(ran(airflow, 2, "failed"), at(2, 60), "success")
    unknown: dict[str, Any] = {"root_id": None, "attempt": None, "human_override": None}
    times = {"queued_at": at(1, 100), "started_at": at(1, 110), "finished_at": at(1, 119)}
    records: list[Record] = [workflow(), run(1, **unknown, **times), run(2, finished_at=at(2, 60), **unknown)]
    return truth("without the event log", airflow, records)


def what_cannot_be_read() -> Truth:
    """The state and the times that place a run cost the run; anything else costs itself."""
    airflow = server()
    changes: dict[str, dict[str, Any]] = {
        "r+1": {"queued_at": "n/a", "last_scheduling_decision": "n/a"},
        "r+2": {"start_date": "n/a"},
        "r+3": {"end_date": "n/a"},
        "r+4": {"end_date": "n/a", "state": "running"},
        "r+5": {"state": "pondering"},
        "r+6": {"dag_id": None},
        "r+7": {"dag_run_id": 5},
        "r+8": {"state": None},
    }
    for number in range(1, 10):
        ran(airflow, number)

    def spoil(answer: Any) -> None:
        for item in answer["dag_runs"]:
            item.update(changes.get(item["dag_run_id"], {}))
        answer["dag_runs"].append("odd")

    running: dict[str, Any] = {"status": "running", "exception": None, "finished_at": None}
    said = [f"queued_at: {NO_TIME}", f"started_at: {NO_TIME}", f"finished_at: {NO_TIME}"]
    said += [f"status: 'pondering' is none of {', '.join(STATUS)}"]
    said += ["item: cannot be read (ValueError)"] * 5  # "odd" is among the open ones, too
    records: list[Record] = [workflow(), run(1, queued_at=None), run(4, **running), run(9)]
    rewritten(airflow_app := airflow.app(), "/dagRuns", spoil)
    return replace(truth("what cannot be read", airflow, records, left_out=said), app=airflow_app)


def log_that_was_cleaned() -> Truth:
    """Of an attempt before the log begins, nothing is known but that there was one."""
    airflow = server()
    airflow.silent = True
    key = ran(airflow, 1, "failed")
    airflow.silent = False
    airflow.clear(key, at(1, 100))
    again(airflow, key, at(1, 110))
    nothing: dict[str, Any] = {"status": None, "exception": None, "started_at": None, "finished_at": None}
    times = {"queued_at": at(1, 100), "started_at": at(1, 110), "finished_at": at(1, 119)}
    records: list[Record] = [workflow(), first(1, **nothing), run(1, attempt=2, human_override=True, **times)]
    return truth("a log that was cleaned", airflow, records)


def tasks_before_a_clear() -> Truth:
    """An attempt has failed where any of its tasks has: one of several of a name, one that was set by hand."""
    airflow = server()
    ran(airflow, 1, "failed")
    airflow.line(
        "success", at(1, 41), airflow.runs["sync:r+1"], "airflow", task_id="work", map_index=1, try_number=1
    )  # fmt: skip
    ran(airflow, 2, "failed")
    airflow.line("patch_task_instance", at(2, 30), airflow.runs["sync:r+2"], "ana", {"new_state": "success"})
    for number in (1, 2):
        airflow.clear(f"sync:r+{number}", at(number, 100))
        again(airflow, f"sync:r+{number}", at(number, 110))
    records: list[Record] = [workflow(), first(1, finished_at=at(1, 41)), first(2, human_override=True)]
    for number in (1, 2):
        times = {"queued_at": at(number, 100), "started_at": at(number, 110), "finished_at": at(number, 119)}
        records.append(run(number, attempt=2, human_override=True, **times))
    return truth("tasks before a clear", airflow, records)


def odd_lines() -> Truth:
    """A line of the event log that cannot be read is left out where it is one of many, and told of."""
    airflow = server()
    ran(airflow, 1)
    airflow.clear(ran(airflow, 2, "failed"), at(2, 100))
    again(airflow, "sync:r+2", at(2, 110))

    def spoil(answer: Any) -> None:
        answer["event_logs"] += [{"event_log_id": 99, "event": "clear"}, "odd"]

    unknown: dict[str, Any] = {"root_id": None, "attempt": None, "human_override": None}
    times = {"queued_at": at(2, 100), "started_at": at(2, 110), "finished_at": at(2, 119)}
    app = rewritten(airflow.app(), "/eventLogs", spoil)
    said = ["event_log: 'when' is missing", "event_log: has another shape than expected", "odd answer: TypeError"]
    records: list[Record] = [workflow(), run(1), run(2, **unknown, **times)]
    return replace(truth("odd lines", airflow, records, left_out=said), app=app)
