"""What queue items, jobs, queues and processes of UiPath are: rows as its API writes them, and their records."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.uipath.mapping import EXCEPTION, REVIEWED, STATE, STATUS
from exporter.records import Record, Run, Workflow
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Enum, Truth, rewritten
from tests.fakes.uipath import PATH, UiPath, text

SPEC = "uipath-orchestrator.yaml"
COLUMN = "components/schemas/{}/properties/{}/enum"
ENUMS = (
    Enum(SPEC, COLUMN.format("QueueItemDto", "Status"), STATUS),
    Enum(SPEC, COLUMN.format("QueueItemDto", "ReviewStatus"), REVIEWED),
    Enum(SPEC, COLUMN.format("QueueItemDto", "ProcessingExceptionType"), EXCEPTION),
    Enum(SPEC, COLUMN.format("JobDto", "State"), STATE, {"Cancelled": "came with a later release of the SDK"}),
)
TECHNICAL = {"page_size", "overlap_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
WEB = f"{HOST}{PATH}"
FINANCE, INVOICES, REPORT = 1, 2, 3  # the ids of what every tenant here has
WORKER = "Invoice_Bot"


def at(number: int, second: int = 0) -> datetime:
    """A second of the minute in which the row of a number is made; it begins 10 seconds later, and ends after 40."""
    return NOON + timedelta(minutes=number, seconds=second)


def key(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


class Tenant(UiPath):
    """One with a folder, a queue in it and a process. Rows have the ids that they are given."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        finance = self.folder("Acme/Finance")
        queue = self.queue("Invoices", finance, Key=key(INVOICES), **more)
        assert (finance, queue, self.process("Report", finance, Key=key(REPORT))) == (FINANCE, INVOICES, REPORT)

    def row(self, number: int, status: str, **more: Any) -> None:
        """A queue item that has ended, unless something else is said of it."""
        self.last_id = number - 1
        times = {"StartProcessing": text(at(number, 10)), "EndProcessing": text(at(number, 40))}
        self.item(INVOICES, at(number), **{"Status": status, "Key": key(number), **times, **more})

    def done(self, number: int, state: str, process: str = "Report", **more: Any) -> None:
        """A job that has ended, unless something else is said of it."""
        self.last_id = number - 1
        times = {"StartTime": text(at(number, 10)), "EndTime": text(at(number, 40))}
        about = {"Key": key(number), "SubState": None, "LastModificationTime": text(at(number, 50)), **times}
        self.job(FINANCE, process, at(number), state, **{**about, **more})


def item(number: int, status: str, exception: str | None = "none", **columns: Any) -> Run:
    usual: dict[str, Any] = {
        "id": f"item-{number}",
        "url": f"{WEB}/queues/transactions/2?fid=1",
        "workflow": "Acme/Finance/Invoices",
        "root_id": key(number),
        "attempt": 1,
        "queued_at": at(number),
        "started_at": at(number, 10),
        "finished_at": at(number, 40),
        "human_override": False,
    }
    return Run(**{**usual, "status": status, "exception": exception, **columns})


def job(number: int, status: str, exception: str | None = "none", **columns: Any) -> Run:
    usual: dict[str, Any] = {
        "id": f"job-{number}",
        "url": f"{WEB}/jobs?fid=1",
        "updated_at": at(number, 50),
        "workflow": "Acme/Finance/Report",
        "root_id": key(number),
        "attempt": 1,
        "queued_at": at(number),
        "started_at": at(number, 10),
        "finished_at": at(number, 40),
        "human_override": False,
        "trigger": "schedule",
    }
    return Run(**{**usual, "status": status, "exception": exception, **columns})


def workflow(kind: str, number: int, name: str, **columns: Any) -> Workflow:
    page = {"queue": f"queues/transactions/{number}", "process": "processes"}[kind]
    url, name = f"{WEB}/{page}?fid=1", f"Acme/Finance/{name}"
    usual = {"id": f"{kind}-{number}", "reference": key(number), "url": url, "name": name, "enabled": True}
    return Workflow(**{**usual, "exportable": True, **columns})


QUEUE = workflow("queue", INVOICES, "Invoices")
PROCESS = workflow("process", REPORT, "Report")
OPEN: dict[str, Any] = {"exception": None, "finished_at": None}


def truth(what: str, fake: UiPath, records: list[Record], *, known: bool = True, **others: Any) -> Truth:
    """With the queue and the process of each tenant, unless they are not `known`."""
    there: list[Record] = [QUEUE, PROCESS] if known else []
    records = [*there, *records]
    return Truth(what=what, app=fake.app(), secret=("token", fake.token), path=PATH, records=records, **others)


def truths(_folder: Path) -> Iterator[Truth]:
    yield rows()
    yield errors_of_jobs()
    yield all_jobs()
    yield no_jobs()
    yield triggers()
    yield workers()
    yield other_folders()
    yield what_the_config_sees()
    yield what_cannot_be_read()
    yield inventory_that_cannot_be_read()
    yield what_may_not_be_read()


def rows() -> Truth:
    """Queue items and jobs of every kind. All in one, for each word of a table is taken away and missed by itself."""
    fake = Tenant()
    records = [*statuses(fake), *reviews(fake), *attempts(fake), *deferred(fake), *states(fake), *no_work(fake)]
    return truth("queue items and jobs", fake, records)


def statuses(fake: Tenant) -> list[Record]:
    """Every status of a queue item, with every exception."""
    fake.row(11, "New", StartProcessing=None, EndProcessing=None)
    fake.row(12, "New", EndProcessing=None)  # postponed: it had been begun
    fake.row(13, "InProgress", EndProcessing=None)
    fake.row(14, "Successful", Reference="INV-14")
    fake.row(15, "Failed", ProcessingExceptionType="BusinessException")
    fake.row(16, "Failed", ProcessingExceptionType="ApplicationException")
    fake.row(17, "Failed")
    fake.row(18, "Abandoned", EndProcessing=None)
    fake.row(19, "Deleted", StartProcessing=None, EndProcessing=None)
    fake.row(20, "Deleted", ProcessingExceptionType="BusinessException")
    fake.row(21, "Retried", ProcessingExceptionType="ApplicationException")
    fake.row(23, "Successful", ProcessingExceptionType="BusinessException")  # of an attempt before
    fake.row(25, "Abandoned")
    fake.row(26, "Abandoned", StartProcessing=None, EndProcessing=None)
    fake.row(24, "Successful", CreationTime=None, DeferDate=text(at(24, 5)))
    fake.row(22, "Successful", CreationTime="2026-03-30T12:22:00.1234567Z", StartProcessing="2026-03-30T12:22:10Z")
    return [
        item(11, "waiting", None, started_at=None, finished_at=None),
        item(12, "waiting", None, started_at=None, finished_at=None),
        item(13, "running", None, finished_at=None),
        item(14, "succeeded", reference="INV-14"),
        item(15, "failed", "business"),
        item(16, "failed", "application"),
        item(17, "failed", "application"),
        item(18, "abandoned", finished_at=at(18, 10) + timedelta(hours=24)),
        item(19, "cancelled", started_at=None, finished_at=None),
        item(20, "failed", "business"),
        item(21, "failed", "application"),
        item(23, "succeeded"),
        item(25, "abandoned"),
        item(26, "abandoned", started_at=None, finished_at=None),
        item(24, "succeeded", queued_at=None),
        item(22, "succeeded", queued_at=at(22) + timedelta(microseconds=123456)),
    ]


def reviews(fake: Tenant) -> list[Record]:
    records: list[Record] = []
    for number, (word, settled) in enumerate(
        [("None", False), ("InReview", False), ("Verified", True), ("Retried", True)], 31
    ):
        fake.row(number, "Failed", ReviewStatus=word, ProcessingExceptionType="BusinessException")
        records.append(item(number, "failed", "business", human_override=settled))
    return records


def attempts(fake: Tenant) -> list[Record]:
    """All attempts have one key. A retry by hand does not raise RetryNumber, so it has no number of its own."""
    first, failed = key(41), {"ProcessingExceptionType": "ApplicationException"}
    fake.row(41, "Retried", **failed)
    fake.row(42, "Failed", Key=first, RetryNumber=1, AncestorId=41, ReviewStatus="Retried", **failed)
    fake.row(43, "Successful", Key=first, RetryNumber=1, ManualAncestorId=42, ManualRetryNumber=1)
    fake.row(44, "Successful", Key=first, RetryNumber=2, ManualRetryNumber=1)
    fake.row(45, "Successful", Key=first, RetryNumber=1, ManualAncestorId=42, ManualRetryNumber=None)
    return [
        item(41, "failed", "application"),
        item(42, "failed", "application", root_id=first, attempt=2, human_override=True),
        item(43, "succeeded", root_id=first, attempt=None, human_override=True),
        item(44, "succeeded", root_id=first, attempt=None, human_override=True),
        item(45, "succeeded", root_id=first, attempt=None, human_override=True),
    ]


def deferred(fake: Tenant) -> list[Record]:
    """An item waits since it may be processed, unless it was begun before."""
    open_ = {"StartProcessing": None, "EndProcessing": None}
    fake.row(51, "New", DeferDate=text(at(51, 90)), **open_)
    fake.row(52, "New", DeferDate=text(at(52, -90)), **open_)
    fake.row(53, "Successful", DeferDate=text(at(53, 5)))
    fake.row(54, "Successful", DeferDate=text(at(54, 15)))  # it was begun, and then postponed
    fake.row(55, "Successful", DeferDate=text(at(55, 10)))
    return [
        item(51, "waiting", None, started_at=None, finished_at=None, queued_at=at(51, 90)),
        item(52, "waiting", None, started_at=None, finished_at=None),
        item(53, "succeeded", queued_at=at(53, 5)),
        item(54, "succeeded"),
        item(55, "succeeded", queued_at=at(55, 10)),
    ]


def states(fake: Tenant) -> list[Record]:
    """Every state of a job."""
    fake.done(71, "Pending", StartTime=None, EndTime=None)
    fake.done(72, "Running", EndTime=None, Reference="nightly")
    fake.done(73, "Stopping", EndTime=None)
    fake.done(74, "Terminating", EndTime=None)
    fake.done(75, "Suspended", EndTime=None)
    fake.done(76, "Resumed", EndTime=None)
    fake.done(77, "Successful", SourceType="HttpTrigger", Reference="")
    fake.done(78, "Successful", SubState="WITH_FAULTS")
    fake.done(79, "Faulted", Info="System.Exception: no such window")
    fake.done(80, "Stopped", SubState="MANUALLY", SourceType=None)
    fake.done(81, "Cancelled", EndTime=text(at(81, 40)))
    fake.done(82, "Faulted", SubState="WITH_FAULTS", LastModificationTime=None)
    fake.done(83, "Running", EndTime=text(at(83, 40)))  # it has been resumed: it is not over
    return [
        job(71, "waiting", None, started_at=None, finished_at=None),
        job(72, "running", None, finished_at=None, reference="nightly"),
        job(73, "running", None, finished_at=None),
        job(74, "running", None, finished_at=None),
        job(75, "waiting", None, finished_at=None),
        job(76, "waiting", None, finished_at=None),
        job(77, "succeeded", trigger="httptrigger"),
        job(78, "succeeded"),
        job(79, "failed", "application"),
        job(80, "cancelled", human_override=True, trigger=None),
        job(81, "cancelled"),
        job(82, "failed", "application", updated_at=None),
        job(83, "running", None, finished_at=None),
    ]


def errors_of_jobs() -> Truth:
    """What the errors of faulted jobs mean, in a company's own words; and jobs that succeeded with faults."""
    fake = Tenant()
    fake.done(11, "Faulted", Info="UiPath.Core.Activities.BusinessRuleException: no order number")
    fake.done(12, "Faulted", Info="NoSuchCustomer: 17")
    fake.done(13, "Successful", SubState="WITH_FAULTS", Info="NoSuchCustomer")
    fake.done(14, "Successful", Info="NoSuchCustomer")
    usual = [
        job(11, "failed", "business"),
        job(12, "failed", "application"),
        job(13, "succeeded"),
        job(14, "succeeded"),
    ]
    own: list[Record] = [
        replace(usual[0], exception="application"),
        replace(usual[1], exception="business"),
        replace(usual[2], status="failed", exception="business"),
        usual[3],
    ]
    options = {"business_errors": ("Unheard", "NoSuchCustomer"), "with_faults": "failed"}
    return truth("errors of jobs in a company's own words", fake, own, options=options)


def no_work(fake: Tenant) -> list[Record]:
    """Jobs that try a process out, that run test cases, or that work on queue items."""
    for number, source in enumerate(("StudioWeb", "StudioDesktop", "TestManager", "PerformanceTesting", "Queue"), 91):
        fake.done(number, "Successful", SourceType=source)
    fake.done(96, "Successful", ProcessType="TestAutomationProcess")
    fake.process("Tests", FINANCE, ProcessType="TestAutomationProcess")
    fake.done(98, "Faulted", Info="UiPath.Core.Activities.BusinessRuleException: no order number")
    return [job(98, "failed", "business")]


def with_a_worker() -> Tenant:
    """A queue that names the process which works on it."""
    fake = Tenant(ReleaseId=4)
    assert fake.process(WORKER, FINANCE, Key=key(4)) == 4
    fake.done(11, "Successful", WORKER)
    fake.done(12, "Successful")
    fake.row(13, "Successful")
    fake.done(14, "Successful", SourceType="Queue")
    return fake


def all_jobs() -> Truth:
    records: list[Record] = [
        workflow("process", 4, WORKER),
        job(11, "succeeded", workflow=f"Acme/Finance/{WORKER}"),
        job(12, "succeeded"),
        item(13, "succeeded"),
        job(14, "succeeded", trigger="queue"),
    ]
    return truth("all jobs", with_a_worker(), records, options={"jobs": "all"})


def no_jobs() -> Truth:
    return truth("no jobs", with_a_worker(), [QUEUE, item(13, "succeeded")], known=False, options={"jobs": "none"})


def triggers() -> Truth:
    """A process or queue can run if one of its triggers is enabled, or if it has none."""
    fake = Tenant(ReleaseId=4)
    assert fake.process(WORKER, FINANCE, Key=key(4)) == 4
    fake.trigger(FINANCE, 4, enabled=False)  # of the process that works on the queue
    fake.trigger(FINANCE, REPORT, enabled=False)
    fake.trigger(FINANCE, REPORT)
    asleep = fake.process("Asleep", FINANCE, Key=key(8), LastModificationTime=text(NOON))
    fake.trigger(FINANCE, asleep, enabled=False)
    by_hand = fake.process("By hand", FINANCE, Key=key(10))
    orders = fake.queue("Orders", FINANCE, Key=key(11))
    fake.trigger(FINANCE, 99, enabled=False, queue=orders)
    mail = fake.queue("Mail", FINANCE, Key=key(13))
    nothing: Any = None
    fake.trigger(FINANCE, nothing, enabled=False)
    records: list[Record] = [
        replace(QUEUE, enabled=False),
        PROCESS,
        workflow("process", asleep, "Asleep", enabled=False, updated_at=NOON),
        workflow("process", by_hand, "By hand"),
        workflow("queue", orders, "Orders", enabled=False),
        workflow("queue", mail, "Mail"),
    ]
    assert (asleep, by_hand, orders, mail) == (8, 10, 11, 13)
    return truth("triggers", fake, records, known=False)


def workers() -> Truth:
    """Processes that work on queue items: a queue names them, its trigger starts them, or its items name their jobs."""
    fake = Tenant(ReleaseId=None)
    fake.process("By trigger", FINANCE)
    orders = fake.queue("Orders", FINANCE, Key=key(5))
    assert orders == 5
    fake.trigger(FINANCE, 4, queue=orders)
    fake.process("By items", FINANCE)
    fake.done(11, "Successful", "By trigger")
    fake.done(12, "Successful", "By items")
    fake.done(13, "Successful")
    fake.row(14, "Successful", ExecutorJobKey=key(12))
    fake.done(15, "Running", "By items", EndTime=None)
    records: list[Record] = [
        workflow("queue", orders, "Orders"),
        job(13, "succeeded"),
        item(14, "succeeded"),
    ]
    return truth("processes that work on queue items", fake, records, options={"jobs": "without_queue"})


def other_folders() -> Truth:
    """Folders that a pattern finds, but no one's own; a queue that several share is read in the first."""
    fake = Tenant()
    sales = fake.folder("Acme/Sales")
    fake.shown["QueueDefinitions", INVOICES].add(sales)
    for name, kind in (("Acme/ann's workspace", "Personal"), ("Acme/debug", "DebugSolution"), ("Beta", "Standard")):
        fake.job(fake.folder(name, kind), "Secret", NOON)
    fake.row(21, "Successful")
    records: list[Record] = [item(21, "succeeded")]
    return truth("folders", fake, records, options={"folders": ("Acme/*",)})


def what_the_config_sees() -> Truth:
    """Beside the row its folder and its queue or process; what an item contains is asked for."""
    fake = Tenant(Tags=[{"DisplayName": "critical"}])
    fake.row(11, "Successful", SpecificContent={"country": "fr"})
    fake.done(12, "Successful")
    fields = {
        "team": Rule(field="folder.DisplayName"),
        "region": Rule(field="SpecificContent.country"),
        "business_unit": Rule(field="queue.Tags.DisplayName"),
        "cohort": Rule(field="process.ProcessVersion"),
    }
    records: list[Record] = [
        replace(QUEUE, team="Finance", business_unit="critical"),
        replace(PROCESS, team="Finance", cohort="1.0.1"),
        item(11, "succeeded", team="Finance", region="fr", business_unit="critical"),
        job(12, "succeeded", team="Finance", cohort="1.0.1"),
    ]
    return truth("what the config sees", fake, records, known=False, fields=fields)


def what_cannot_be_read() -> Truth:
    """The word and the times that place a run cost the run; anything else costs itself."""
    fake = Tenant()
    odd: dict[int, dict[str, Any]] = {
        11: {"Status": "Pondering"},
        12: {"StartProcessing": "n/a"},
        13: {"EndProcessing": "n/a"},
        14: {"DeferDate": "n/a", "ReviewStatus": "Odd", "RetryNumber": "x"},
        15: {"Status": "Failed", "ProcessingExceptionType": "Odd"},
        16: {"QueueDefinitionId": 99},
        20: {"CreationTime": "n/a"},
        21: {"State": "Pondering"},
        22: {"StartTime": "n/a"},
        23: {"EndTime": "n/a"},
        24: {"LastModificationTime": "n/a", "SourceType": 5},
    }
    for number in odd:
        (fake.row if number < 20 else fake.done)(number, "Successful")
    records: list[Record] = [
        item(14, "succeeded", attempt=None, human_override=None, queued_at=None),
        item(15, "failed", None),
        job(20, "succeeded", queued_at=None),
        job(24, "succeeded", updated_at=None, trigger=None),
    ]
    said = [
        f"status: 'Pondering' is none of {', '.join(STATUS)}",
        f"started_at: {NO_TIME}",
        f"finished_at: {NO_TIME}",
        f"queued_at: {NO_TIME}",
        f"queued_at: {NO_TIME}",
        f"human_override: 'Odd' is none of {', '.join(REVIEWED)}",
        "attempt: cannot be read (ValueError)",
        f"exception: 'Odd' is none of {', '.join(EXCEPTION)}",
        "item: a part is missing",
        f"status: 'Pondering' is none of {', '.join(STATE)}",
        f"started_at: {NO_TIME}",
        f"finished_at: {NO_TIME}",
        f"updated_at: {NO_TIME}",
        "trigger: has another shape than expected",
    ]
    given = truth("what cannot be read", fake, records, left_out=said)

    def spoil(answer: dict[str, Any]) -> None:
        for row in answer["value"]:
            row.update(odd.get(row["Id"], {}))

    assert given.app
    for path in ("/QueueItems", "/Jobs"):
        rewritten(given.app, path, spoil)
    return given


def inventory_that_cannot_be_read() -> Truth:
    """A queue or process without a name, or with an id that is none, is left out; others are not."""
    fake = Tenant()
    fake.process("Odd", FINANCE)
    fake.queue("Orders", FINANCE)
    fake.trigger(FINANCE, REPORT, enabled=False)
    odd = {4: {"Name": None}, 5: {"ReleaseId": "x"}, 6: {"QueueDefinitionId": {}}}
    given = truth(
        "an inventory that cannot be read", fake, [], left_out=["workflow: has another shape than expected"] * 3
    )

    def spoil(answer: dict[str, Any]) -> None:
        for row in answer["value"]:
            row.update(odd.get(row["Id"], {}))

    assert given.app
    for path in ("/QueueDefinitions", "/Releases", "/ProcessSchedules"):
        rewritten(given.app, path, spoil)
    return given


def what_may_not_be_read() -> Truth:
    """Without the right to see triggers nothing is known of what is enabled; an old release has fewer columns."""
    fake = Tenant()
    fake.refused = {(FINANCE, "ProcessSchedules")}
    fake.done(11, "Successful")
    for name in ("SubState", "ProcessType", "LastModificationTime", "SourceType", "Reference", "Info"):
        del fake.lists["Jobs"][11][name]
    records: list[Record] = [
        replace(QUEUE, enabled=None),
        replace(PROCESS, enabled=None),
        job(11, "succeeded", updated_at=None, human_override=None, trigger=None),
    ]
    return truth("what may not be read", fake, records, known=False)
