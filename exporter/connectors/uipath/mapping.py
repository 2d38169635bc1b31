"""UiPath: what its queue items, jobs, queues and processes mean. Pure; the modules beside it ask for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from exporter.records import ExceptionKind, Json, Read, Run, RunStatus, Workflow, instant
from exporter.records.unreadable import Words, value

Jobs = Literal["without_queue", "all", "none"]

STATUS = Words[RunStatus](
    "status",
    {
        "New": "waiting",
        "InProgress": "running",
        "Failed": "failed",
        "Successful": "succeeded",
        "Abandoned": "abandoned",
        "Retried": "failed",  # another row is the next attempt
        "Deleted": "cancelled",
    },
)
EXCEPTION = Words[ExceptionKind]("exception", {"ApplicationException": "application", "BusinessException": "business"})
REVIEWED = Words(  # whether a person has settled a failed item
    "human_override", {"None": False, "InReview": False, "Verified": True, "Retried": True}
)
STATE = Words[RunStatus](
    "status",
    {
        "Pending": "waiting",
        "Running": "running",
        "Stopping": "running",
        "Terminating": "running",
        "Suspended": "waiting",
        "Resumed": "waiting",  # until a robot takes it up again
        "Successful": "succeeded",
        "Faulted": "failed",
        "Stopped": "cancelled",
        "Cancelled": "cancelled",
    },
)
OPEN = ("waiting", "running")
PATIENCE = timedelta(hours=24)
"""So long after it was begun UiPath calls an item abandoned, as is published."""
TESTS = "TestAutomationProcess"
"""The type of a process that runs test cases."""
TRIES = ("StudioWeb", "StudioDesktop", "TestManager", "PerformanceTesting")
"""Where jobs are started that only try a process out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder, with what is known of its queues and processes, and what jobs mean."""

    id: int
    name: str  # with those of the folders above it
    about: Json  # as the config sees it
    web: str
    queues: Mapping[int, Json] = field(default_factory=dict)  # those whose items are read here, by id
    elsewhere: Collection[int] = ()  # ids of queues whose items are read in another folder that shares them
    processes: Mapping[str, Json] = field(default_factory=dict)  # by name
    workers: Collection[str] = ()  # names of processes that work on queue items
    triggers: Sequence[Json] | None = None  # of all folders; None: they may not be read
    jobs: Jobs = "without_queue"
    business_errors: Collection[str] = ()
    with_faults: Literal["succeeded", "failed"] = "succeeded"

    def knows(self, rows: Sequence[Json]) -> bool:
        """Whether all queues are known that items are of."""
        ids = [row.get("QueueDefinitionId") for row in rows if isinstance(row, dict)]
        return all(each in self.queues or each in self.elsewhere for each in ids if isinstance(each, int))

    def link(self, page: str) -> str:
        """Where people open a page of this folder."""
        return f"{self.web}/{page}?fid={self.id}"


def queue_item(row: Json, folder: Folder) -> Read | None:
    """An item of a queue as a Run: one attempt. None for an item of a queue that is read in another folder."""
    if row["QueueDefinitionId"] in folder.elsewhere:
        return None
    queue = folder.queues[row["QueueDefinitionId"]]
    status, failure = judged(row)
    retried_by_hand = row["ManualAncestorId"] is not None or bool(row["ManualRetryNumber"])
    # One that was postponed had begun before.
    begun_at = None if status == "waiting" else value("started_at", instant, row["StartProcessing"])
    record = Run(
        id=f"item-{row['Id']}",
        reference=row["Reference"] or None,
        url=folder.link(f"queues/transactions/{queue['Id']}"),
        workflow=f"{folder.name}/{queue['Name']}",
        root_id=row["Key"],
        # RetryNumber counts automatic retries alone; where a person has retried, the order of creation tells.
        attempt=None if retried_by_hand else value("attempt", lambda number: int(number) + 1, row["RetryNumber"]),
        queued_at=value("queued_at", partial(available, begun_at=begun_at), row),
        started_at=begun_at,
        finished_at=None if status in OPEN else value("finished_at", partial(ended_at, begun_at=begun_at), row),
        status=status,
        exception=failure,
        human_override=retried_by_hand or value("human_override", REVIEWED.__getitem__, row["ReviewStatus"]),
    )
    return Read(record, {**row, "folder": folder.about, "queue": queue})


def judged(row: Json) -> tuple[RunStatus, ExceptionKind | None]:
    """How an item stands, and what kind of failure it was."""
    status, word = STATUS[row["Status"]], row["ProcessingExceptionType"]
    if row["Status"] == "Deleted" and word:
        status = "failed"  # that it was deleted afterwards changes nothing about that
    if status == "failed":
        return status, value("exception", EXCEPTION.__getitem__, word) if word else "application"
    return status, None if status in OPEN else "none"


def ended_at(row: Json, begun_at: datetime | None) -> datetime | None:
    """When an item ended. One that was abandoned may not say so: it had been given up on by then."""
    at = instant(row["EndProcessing"])
    return begun_at + PATIENCE if at is None and begun_at and row["Status"] == "Abandoned" else at


def available(row: Json, begun_at: datetime | None) -> datetime | None:
    """Since when an item may be processed: from the time that it was deferred to, unless it was begun before."""
    made_at, deferred_to = instant(row["CreationTime"]), instant(row["DeferDate"])
    if deferred_to is None or (begun_at and begun_at < deferred_to):
        return made_at
    return max(made_at, deferred_to) if made_at else None


def job(row: Json, folder: Folder) -> Read | None:
    """A job as a Run; None where it works on queue items, which are runs themselves, or tries a process out."""
    source, name = row.get("SourceType"), row["ReleaseName"]
    if source in TRIES or row.get("ProcessType") == TESTS:
        return None
    if folder.jobs == "without_queue" and (source == "Queue" or name in folder.workers):
        return None
    status, substate = STATE[row["State"]], row.get("SubState")
    if status == "succeeded" and substate == "WITH_FAULTS":
        status = folder.with_faults
    record = Run(
        id=f"job-{row['Id']}",
        reference=row.get("Reference") or None,
        url=folder.link("jobs"),
        updated_at=value("updated_at", instant, row.get("LastModificationTime")),
        workflow=f"{folder.name}/{name}",
        root_id=row["Key"],
        attempt=1,
        queued_at=value("queued_at", instant, row["CreationTime"]),
        started_at=value("started_at", instant, row["StartTime"]),
        finished_at=None if status in OPEN else value("finished_at", instant, row["EndTime"]),
        status=status,
        exception=fault(status, str(row.get("Info")), folder.business_errors),
        human_override=substate == "MANUALLY" if "SubState" in row else None,
        trigger=value("trigger", str.lower, source) if source else None,
    )
    return Read(record, {**row, "folder": folder.about, "process": folder.processes.get(name)})


def fault(status: RunStatus, said: str, business: Collection[str]) -> ExceptionKind | None:
    """The kind of failure that ended a job: the name of the exception is part of what is said of it."""
    if status == "failed":
        return "business" if any(word in said for word in business) else "application"
    return None if status in OPEN else "none"


def queue(row: Json, folder: Folder) -> Read:
    """A queue as a Workflow, in the place of the process that works on its items."""
    mine = [
        each
        for each in folder.triggers or ()
        if each["QueueDefinitionId"] == row["Id"] or (row["ReleaseId"] and each["ReleaseId"] == row["ReleaseId"])
    ]
    record = Workflow(
        id=f"queue-{row['Id']}",
        reference=row["Key"],
        url=folder.link(f"queues/transactions/{row['Id']}"),
        name=f"{folder.name}/{row['Name']}",
        enabled=None if folder.triggers is None else enabled(mine),
        exportable=True,  # the package of the process can be downloaded
    )
    return Read(record, {**row, "folder": folder.about, "queue": row})


def process(row: Json, folder: Folder) -> Read | None:
    """A process as a Workflow; None where its queue stands for it, or it runs test cases."""
    if row["ProcessType"] == TESTS or folder.jobs == "none":
        return None
    if folder.jobs == "without_queue" and row["Name"] in folder.workers:
        return None
    mine = [each for each in folder.triggers or () if each["ReleaseId"] == row["Id"]]
    record = Workflow(
        id=f"process-{row['Id']}",
        reference=row["Key"],
        url=folder.link("processes"),
        updated_at=value("updated_at", instant, row["LastModificationTime"]),
        name=f"{folder.name}/{row['Name']}",
        enabled=None if folder.triggers is None else enabled(mine),
        exportable=True,
    )
    return Read(record, {**row, "folder": folder.about, "process": row})


def enabled(triggers: Sequence[Json]) -> bool:
    """Whether something starts it: one that has no triggers is started by people or by other systems."""
    return not triggers or any(each["Enabled"] for each in triggers)
