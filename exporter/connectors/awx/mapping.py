"""AWX: what its jobs, approvals and templates mean. Pure; the package sends the requests."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import NamedTuple

from exporter.records import ExceptionKind, Json, Read, Run, RunStatus, Workflow, instant
from exporter.records.unreadable import ODD, Words, value

STATUS = Words[RunStatus](
    "status",
    {
        "new": "waiting",
        "pending": "waiting",
        "waiting": "waiting",
        "running": "running",
        "successful": "succeeded",
        "failed": "failed",
        "error": "failed",
        "canceled": "cancelled",
    },
)
OPEN = ("new", "pending", "waiting", "running")
EXCEPTION: Mapping[RunStatus, ExceptionKind] = {
    "succeeded": "none",
    "failed": "application",
    "abandoned": "application",
    "cancelled": "none",
}
STATED = Words[ExceptionKind]("exception", {"business": "business", "application": "application", "none": "none"})
LOST = (
    "Task was marked as running but was not present in the job queue",
    "Task was marked as running at system start up",
    "Job reaped due to instance shutdown",
)
"""How the explanation begins of a job that AWX lost: it calls it failed."""

DECIDED = Words[bool | None](
    "human_override",
    {
        "new": None,
        "pending": None,
        "waiting": None,
        "running": None,
        "successful": True,
        "failed": True,  # denied; of one that timed out that is told beside
        "error": False,
        "canceled": False,
    },
)
"""Whether a person has decided, by the status of an approval; None where that is still to come."""
PLACES = {
    "job": "playbook",
    "workflow_job": "workflow",
    "project_update": "project",
    "inventory_update": "inventory",
    "ad_hoc_command": "command",
    "system_job": "management",
}
"""Where people open a job, by its type."""


class Site(NamedTuple):
    """What is to be known of one installation."""

    web: str  # where people open it
    platform: bool  # whether it stands behind the gateway of Ansible Automation Platform, and has its pages
    names: Mapping[str, str]  # of templates, by id
    artifact: str  # which artifact says what kind of exception it is

    def job(self, item: Json) -> str:
        """The page of a job."""
        place = f"jobs/{PLACES[item['type']]}/{item['id']}"
        return f"{self.web}/execution/{place}/output" if self.platform else f"{self.web}/#/{place}"

    def template(self, item: Json) -> str:
        """The page of a template."""
        if self.platform:
            return f"{self.web}/execution/templates/{item['type'].replace('_', '-')}/{item['id']}/details"
        return f"{self.web}/#/templates/{item['type']}/{item['id']}"


def run(item: Json, site: Site, *, override: bool | None, held: bool, since: datetime | None = None) -> Read:
    """A job of any type as a Run. `override`: whether a person decided in it; `held`: whether it waits for one now;
    `since`: from when on it goes on after the last such wait."""
    if type(item["id"]) is not int:
        raise ValueError("this is no job")
    status: RunStatus = "abandoned" if is_lost(item) else STATUS[item["status"]]
    queued_at = value("queued_at", instant, item["created"])
    started_at = value("started_at", instant, item["started"])
    record = Run(
        id=str(item["id"]),
        url=value("url", site.job, item),
        updated_at=value("updated_at", instant, item.get("modified")),
        workflow=site.names.get(str(item.get("unified_job_template"))) or value("workflow", name_of, item),
        # What waits for a person has all the time in the world; what is told of it begins when it goes on.
        queued_at=None if held or since else queued_at,
        started_at=None if held else since or started_at,
        finished_at=value("finished_at", instant, item["finished"]),
        status="waiting" if held else status,
        exception=exception(item, status, site.artifact),
        human_override=override,
        trigger=value("trigger", trigger, item),
    )
    return Read(record, item)


def exception(item: Json, status: RunStatus, artifact: str) -> ExceptionKind | None:
    """What kind it is: as the playbook says with set_stats, or else by how it ended."""
    said = item.get("artifacts")  # a text where they are hidden
    if status in EXCEPTION and isinstance(said, dict) and said.get(artifact):
        return value("exception", STATED.__getitem__, said[artifact])
    return EXCEPTION.get(status)


def is_lost(item: Json) -> bool:
    """Whether AWX itself gave it up, because nothing was known any more of the process that ran it."""
    return item["status"] == "failed" and any(words in (item.get("job_explanation") or "") for words in LOST)


def name_of(item: Json) -> str | None:
    """What its template is called now, or was when it was launched: of a deleted one only that is left."""
    name: str | None = beside(item, "unified_job_template").get("name") or item["name"]
    return name


def beside(item: Json, what: str) -> Json:
    """What is told of something that an item refers to; nothing where there is none."""
    return (item.get("summary_fields") or {}).get(what) or {}


def trigger(item: Json) -> str | None:
    """What launched it, in AWX's words but for the one that every platform has."""
    word: str = item["launch_type"].lower()
    return "schedule" if word == "scheduled" else word or None


def sound(item: Json) -> bool:
    """Can books be kept on this job? One that cannot is skipped, and counted, where it is mapped."""
    with suppress(*ODD):
        instant(item["finished"])
        return type(item["id"]) is int
    return False


def finished_at(item: Json) -> datetime | None:
    return instant(item["finished"]) if sound(item) else None


def above(item: Json) -> str | None:
    """The workflow job that a job belongs to; None where that is not there any more."""
    found = beside(item, "source_workflow_job").get("id")
    return str(found) if type(found) is int else None


def upward(item: Json) -> tuple[str, str | None]:
    """A job, and the workflow job that it belongs to."""
    return str(item["id"]), above(item)


def decision(item: Json, automation: Collection[str]) -> tuple[str | None, bool | None, datetime | None]:
    """The workflow job that an approval is part of, whether a person has decided (None: one is waited for), and when
    the wait ended."""
    decided = DECIDED[item["status"]]
    by = beside(item, "approved_or_denied_by").get("username")
    return above(item), decided and not (item["timed_out"] or by in automation), instant(item.get("finished"))


def workflow(item: Json, site: Site, schedules: Mapping[str, bool], used_since: datetime) -> Read:
    """A template of jobs or workflows. `schedules`: of those that have any, whether one is enabled."""
    key = str(item["id"])
    if key not in site.names:
        raise ValueError("this is no template")
    record = Workflow(
        id=key,
        url=site.template(item),
        updated_at=value("updated_at", instant, item.get("modified")),
        name=site.names[key],
        enabled=value("enabled", partial(enabled, scheduled=schedules.get(key), used_since=used_since), item),
        dependencies=value("dependencies", dependencies, item) or (),
        exportable=True,  # playbooks are files, and templates can be exported
    )
    return Read(record, item)


def enabled(item: Json, scheduled: bool | None, used_since: datetime) -> bool:
    """AWX has no such switch. Without a schedule or a webhook it is whether it was used of late."""
    if item.get("webhook_service") or scheduled is not None:
        return bool(item.get("webhook_service") or scheduled)
    last = instant(item.get("last_job_run"))
    return item.get("status") in OPEN or (last is not None and last >= used_since)


def dependencies(item: Json) -> tuple[str, ...]:
    """What it cannot do without: credentials, and by name project, inventory and execution environment."""
    credentials = [f"credential:{each['name']}" for each in beside(item, "credentials")]
    others = {"project": "system:project", "inventory": "system:inventory", "execution_environment": "plugin:image"}
    named = [f"{kind} {beside(item, what)['name']}" for what, kind in others.items() if beside(item, what)]
    return tuple(sorted({*credentials, *named}))


def described(templates: Sequence[Json]) -> dict[str, str]:
    """By id what templates are called: with the organization where several have one name, and then with the id."""
    names = {str(item["id"]): str(item["name"]) for item in templates}
    count = Counter(names.values())
    for item in templates:
        key = str(item["id"])
        with suppress(*ODD):  # as where it has none
            names[key] = f"{beside(item, 'organization')['name']}/{names[key]}" if count[names[key]] > 1 else names[key]
    count = Counter(names.values())
    return {key: f"{name} ({key})" if count[name] > 1 else name for key, name in names.items()}
