"""What jobs, approvals and templates of AWX are: as its API writes them, and the records they must become."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.awx.mapping import LOST
from exporter.records import Record, Run, Workflow
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Enum, Truth, rewritten
from tests.fakes.awx import Awx, written

ENUMS: tuple[Enum, ...] | str = "a running AWX makes its specification, and no copy of it is published"
TECHNICAL = {"page_size", "overlap_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
EDITED = datetime(2025, 12, 1, 8, tzinfo=UTC)
ALSO = {
    "project_update": "project",
    "inventory_update": "inventory",
    "ad_hoc_command": "command",
    "system_job": "management",
}
"""Types of jobs, and where people open them."""
FIRST = 4001  # the id of the first job
DEPLOY, ONBOARD = 7, 8  # templates
MINUTE = timedelta(minutes=1)


def at(number: int, second: float = 0) -> datetime:
    """A second of the minute in which the job of a number is launched; it begins at 10 and ends at 40."""
    return NOON + number * MINUTE + timedelta(seconds=second)


def fake(**changes: Any) -> Awx:
    """An installation with a template of jobs and one of workflows."""
    awx = Awx(**changes)
    awx.template("Deploy shop")
    awx.template("Onboard user", "workflow_job_template", organization="People")
    return awx


def job(awx: Awx, number: int, status: str = "successful", template: int = DEPLOY, **changes: Any) -> int:
    """A job launched in the minute of its number, in a status that it came to as AWX lets it."""
    key: int = awx.launch(template, at(number), changes.pop("launch_type", "manual"), changes.pop("within", None))
    if status not in ("new", "pending", "waiting"):
        awx.enter(key, "running", at(number, 10))
    if status != "running":
        awx.enter(key, status, at(number, 40))
    awx.jobs[key] |= changes
    return key


def run(number: int, status: str = "succeeded", **columns: Any) -> Run:
    """The job of that number, as the first template makes it."""
    begun, ended = status != "waiting", status not in ("waiting", "running")
    usual = {
        "id": str(FIRST - 1 + number),
        "url": f"{HOST}/#/jobs/playbook/{FIRST - 1 + number}",
        "updated_at": at(number, 10 if status == "running" else 40),
        "workflow": "Deploy shop",
        "queued_at": at(number),
        "started_at": at(number, 10) if begun else None,
        "finished_at": at(number, 40) if ended else None,
        "status": status,
        "exception": ("application" if status in ("failed", "abandoned") else "none") if ended else None,
        "human_override": False,
        "trigger": "manual",
    }
    return Run(**{**usual, **columns})


def whole(number: int, status: str = "succeeded", **columns: Any) -> Run:
    """The same, where it is a workflow job."""
    place = f"{HOST}/#/jobs/workflow/{FIRST - 1 + number}"
    return run(number, status, **{"url": place, "workflow": "Onboard user", **columns})


def held(number: int) -> Run:
    """The same, while it waits for a person."""
    return whole(number, "waiting", queued_at=None, updated_at=at(number, 10))


def template(key: int, name: str, enabled: bool, **columns: Any) -> Workflow:
    kind = "workflow_job_template" if key == ONBOARD else "job_template"
    url = f"{HOST}/#/templates/{kind}/{key}"
    usual = {"url": url, "updated_at": EDITED, "exportable": True}
    return Workflow(id=str(key), name=name, enabled=enabled, **{**usual, **columns})


UNUSED = [template(DEPLOY, "Deploy shop", False), template(ONBOARD, "Onboard user", False)]
USED = [template(DEPLOY, "Deploy shop", True), template(ONBOARD, "Onboard user", False)]
BOTH = [template(DEPLOY, "Deploy shop", True), template(ONBOARD, "Onboard user", True)]


def truth(what: str, awx: Awx, records: Sequence[Record], **others: Any) -> Truth:
    usual: dict[str, Any] = {"app": awx.app(), "secret": ("token", awx.token), "path": awx.path}
    return Truth(what=what, records=records, **{**usual, **others})


def truths(_folder: Path) -> Iterator[Truth]:
    yield words()
    yield approvals()
    yield names()
    yield templates()
    yield jobs_alone()
    yield waiting_may_time_out()
    yield behind_the_gateway()
    yield what_cannot_be_read()


def words() -> Truth:
    """Every status, type of job and kind of exception. What was cancelled before it began has no start."""
    awx = fake()
    for number, status in enumerate(("new", "pending", "waiting", "running", "successful", "failed", "error"), 1):
        job(awx, number, status)
    job(awx, 8, "canceled", started=None)
    job(awx, 9, "failed", job_explanation=f"{LOST[0]}, so it has been marked as failed.")
    job(awx, 10, "failed", job_explanation=f"This job is not ready to start. {LOST[1]}. The system must have")
    job(awx, 11, "successful", job_explanation=LOST[0])
    job(awx, 12, "failed", job_explanation=None)
    for number, kind in enumerate(ALSO, 13):
        job(awx, number, type=kind)
    job(awx, 17, "failed", artifacts={"exception_kind": "business"}, launch_type="relaunch")
    job(awx, 18, "successful", artifacts={"exception_kind": "application"}, launch_type="scheduled")
    job(awx, 19, "failed", artifacts={"exception_kind": "none"}, launch_type="webhook")
    job(awx, 20, "successful", artifacts={"exception_kind": "business"}, launch_type="")
    job(awx, 21, "running", artifacts={"exception_kind": "business"})
    job(awx, 22, "failed", artifacts="$hidden due to Ansible no_log flag$")
    job(awx, 23, template=ONBOARD)
    job(awx, 24, "failed", job_explanation=LOST[2])
    records = [
        *BOTH,
        run(1, "waiting"),
        run(2, "waiting"),
        run(3, "waiting"),
        run(4, "running"),
        run(5),
        run(6, "failed"),
        run(7, "failed"),
        run(8, "cancelled", started_at=None),
        run(9, "abandoned"),
        run(10, "abandoned"),
        run(11),
        run(12, "failed"),
        *(run(number, url=f"{HOST}/#/jobs/{place}/{4000 + number}") for number, place in enumerate(ALSO.values(), 13)),
        run(17, "failed", exception="business", trigger="relaunch"),
        run(18, exception="application", trigger="schedule"),
        run(19, "failed", exception="none", trigger="webhook"),
        run(20, exception="business", trigger=None),
        run(21, "running"),
        run(22, "failed"),
        whole(23),
        run(24, "abandoned"),
    ]
    return truth("each word", awx, records, options={"also": list(ALSO)})


def approvals() -> Truth:
    """In which workflow jobs a person decided. The jobs of a workflow are none of their own, nor are its slices."""
    awx = fake()
    for number in range(1, 13):
        job(awx, number, "running" if number in (2, 3, 9, 10, 11) else "successful", ONBOARD)
    awx.decide(awx.approve(FIRST, at(1)), at(1, 20))
    awx.approve(FIRST + 1, at(2))
    awx.decide(awx.approve(FIRST + 2, at(3)), at(3, 20), by="robot")
    awx.decide(awx.approve(FIRST + 3, at(4)), at(4, 20), "failed")
    awx.decide(awx.approve(FIRST + 4, at(5)), at(5, 20), "failed", by="")
    awx.decide(awx.approve(FIRST + 5, at(6)), at(6, 20), "canceled", by="")
    awx.decide(awx.approve(FIRST + 6, at(7)), at(7, 20), "error", by="")
    awx.decide(awx.approve(FIRST + 7, at(8)), at(8, 20))
    awx.decide(awx.approve(FIRST + 7, at(8)), at(8, 30), "failed", by="")
    for number, status in enumerate(("new", "waiting", "running"), 8):
        awx.approvals[awx.approve(FIRST + number, at(9))]["status"] = status
    nested = job(awx, 13, "successful", ONBOARD, within=FIRST + 11)
    innermost = job(awx, 14, "successful", ONBOARD, within=nested)
    awx.decide(awx.approve(innermost, at(14)), at(14, 20))
    job(awx, 15, within=innermost)
    lost = awx.approve(FIRST, at(14))
    awx.decide(lost, at(14, 20))
    awx.approvals[lost]["summary_fields"] = {"source_workflow_job": {}}
    records = [
        *BOTH,
        whole(1, human_override=True),
        held(2),
        whole(3, "running", queued_at=None, started_at=at(3, 20)),
        whole(4, human_override=True),
        whole(5),
        whole(6),
        whole(7),
        whole(8, human_override=True),
        held(9),
        held(10),
        held(11),
        whole(12, human_override=True),
    ]
    return truth("approvals", awx, records, options={"automation_users": ["robot"]})


def names() -> Truth:
    """What nothing is said of is not counted. A template that was deleted is known by the name that its job has."""
    awx = fake()
    job(awx, 1, type="project_update")
    job(awx, 2, unified_job_template=None, summary_fields={}, name="Gone")
    job(awx, 3, unified_job_template=99, summary_fields={"unified_job_template": {"id": 99, "name": "Hidden"}})
    job(awx, 4, "failed", artifacts={"exception_kind": "business", "reason": ""})
    job(awx, 5, "failed", artifacts={"reason": "business"})
    job(awx, 6, "failed", artifacts={"reason": "pondering"})
    records = [
        *USED,
        run(2, workflow="Gone"),
        run(3, workflow="Hidden"),
        run(4, "failed"),
        run(5, "failed", exception="business"),
        run(6, "failed", exception=None),
    ]
    said = "exception: 'pondering' is none of business, application, none"
    options = {"exception_artifact": "reason"}
    return truth("names, and an artifact of another name", awx, records, options=options, left_out=[said])


def templates() -> Truth:
    """What is enabled, what it depends on, and what those are called that have one name."""
    awx = fake()
    beside = {
        "credentials": [{"id": 4, "name": "ssh"}, {"id": 5, "name": "aws"}, {"id": 6, "name": "ssh"}],
        "project": {"id": 6, "name": "infra"},
        "inventory": {"id": 2, "name": "prod"},
        "execution_environment": {"id": 1, "name": "ee-29"},
        "organization": {"id": 1, "name": "Platform"},
    }
    awx.template("Patch", summary_fields=beside, webhook_service="github")
    awx.template("Deploy shop", organization="Sales")
    awx.template("Twice")
    awx.template("Twice")
    awx.template("Alone", summary_fields={})
    awx.template("Alone", summary_fields={"organization": None})
    awx.template("Used", last_job_run="2026-03-11T00:00:00Z")
    awx.template("Left", last_job_run="2026-03-10T23:59:59Z")
    awx.template("Begins", status="pending")
    awx.template("Off", last_job_run="2026-03-30T00:00:00Z")
    awx.template("Hooked", webhook_service="gitlab")
    for key, enabled in ((DEPLOY, False), (DEPLOY, True), (DEPLOY, False), (9, False), (18, False)):
        awx.schedule(key, enabled=enabled)
    job(awx, 1, "running")
    records = [
        template(DEPLOY, "Platform/Deploy shop", True, team="Platform"),
        template(ONBOARD, "Onboard user", False, team="People"),
        template(
            9,
            "Patch",
            True,
            team="Platform",
            dependencies=(
                "credential:aws",
                "credential:ssh",
                "plugin:image ee-29",
                "system:inventory prod",
                "system:project infra",
            ),
        ),
        template(10, "Sales/Deploy shop", False, team="Sales"),
        template(11, "Platform/Twice (11)", False, team="Platform"),
        template(12, "Platform/Twice (12)", False, team="Platform"),
        template(13, "Alone (13)", False),
        template(14, "Alone (14)", False),
        template(15, "Used", True, team="Platform"),
        template(16, "Left", False, team="Platform"),
        template(17, "Begins", True, team="Platform"),
        template(18, "Off", False, team="Platform"),
        template(19, "Hooked", True, team="Platform"),
        run(1, "running", workflow="Platform/Deploy shop", team="Platform"),
    ]
    fields = {"team": Rule(field="summary_fields.organization.name")}
    return truth("templates", awx, records, options={"unused_after_seconds": 20 * 86400}, fields=fields)


def jobs_alone() -> Truth:
    """Where each job counts, workflow jobs do not; what people decided is part of those, and unknown."""
    awx = fake()
    parent = job(awx, 1, template=ONBOARD)
    job(awx, 2, within=parent)
    job(awx, 3)
    awx.decide(awx.approve(parent, at(1)), at(1, 20))
    records = [USED[0], run(2, human_override=None, trigger="workflow"), run(3, human_override=None)]
    return truth("each job alone", awx, records, options={"count": "jobs"})


def waiting_may_time_out() -> Truth:
    awx = fake()
    awx.approve(job(awx, 1, "running", ONBOARD), at(1))
    options = {"approvals": "time_out", "web_url": "https://awx.example.test/"}
    urls = [f"https://awx.example.test/#/templates/{each}" for each in ("job_template/7", "workflow_job_template/8")]
    records = [
        template(DEPLOY, "Deploy shop", False, url=urls[0]),
        template(ONBOARD, "Onboard user", False, url=urls[1]),
        whole(1, "running", url=f"https://awx.example.test/#/jobs/workflow/{FIRST}"),
    ]
    return truth("what waits for a person ends like all else, and where people open it", awx, records, options=options)


def behind_the_gateway() -> Truth:
    awx = fake(platform=True)
    job(awx, 1)
    job(awx, 2, template=ONBOARD)
    place = f"{HOST}/execution"
    records = [
        template(DEPLOY, "Deploy shop", True, url=f"{place}/templates/job-template/7/details"),
        template(ONBOARD, "Onboard user", True, url=f"{place}/templates/workflow-job-template/8/details"),
        run(1, url=f"{place}/jobs/playbook/{FIRST}/output"),
        whole(2, url=f"{place}/jobs/workflow/{FIRST + 1}/output"),
    ]
    return truth("behind the gateway of the platform", awx, records)


def what_cannot_be_read() -> Truth:
    awx = fake()
    job(awx, 1, "pondering", finished=written(at(1, 40)))
    job(awx, 2, "pending", started="n/a")
    job(awx, 3, created="2026-03-30T12:03:00", modified="n/a", launch_type=None)
    job(awx, 4, summary_fields="none", name="A template's")
    job(awx, 5, template=ONBOARD)
    job(awx, 6, name="no id")
    job(awx, 7, name="no end")
    job(awx, 8, name="no type")
    job(awx, 9, unified_job_template=None, summary_fields="none")
    awx.decide(awx.approve(FIRST + 4, at(5)), at(5, 20), "pondering")
    awx.templates[ONBOARD]["name"] = None
    awx.template("Odd", last_job_run="n/a", modified="n/a", summary_fields={"credentials": "none"})
    awx.template("no id")
    odd = Workflow(id="9", url=f"{HOST}/#/templates/job_template/9", name="Odd", exportable=True)
    records: list[Record] = [
        USED[0],
        odd,
        run(3, queued_at=None, updated_at=None, trigger=None),
        run(4),
        whole(5),
        run(8, url=None),
        run(9, workflow=None),
    ]
    words = "new, pending, waiting, running, successful, failed, error, canceled"
    said = [
        f"status: 'pondering' is none of {words}",
        f"human_override: 'pondering' is none of {words}",
        f"started_at: {NO_TIME}",
        f"finished_at: {NO_TIME}",
        f"updated_at: {NO_TIME}",
        f"updated_at: {NO_TIME}",
        "queued_at: '2026-03-30T12:03:00' has no time zone",
        "trigger: has another shape than expected",
        "url: 'pondering' is missing",
        "workflow: has another shape than expected",
        *["item: cannot be read (ValueError)"] * 3,  # a job and a template without an id, and a template without a name
        f"enabled: {NO_TIME}",
        "dependencies: has another shape than expected",
    ]
    app = rewritten(rewritten(awx.app(), "/unified_jobs/", spoiled), "/unified_job_templates/", spoiled)
    return truth("what cannot be read", awx, records, left_out=said, app=app)


def spoiled(body: Any) -> None:
    """What a fake that compares times and ids cannot have itself."""
    changes = {"no id": {"id": "x"}, "no end": {"finished": "n/a"}, "no type": {"type": "pondering"}}
    for row in body["results"]:
        row.update(changes.get(row["name"], {}))
