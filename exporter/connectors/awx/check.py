"""What `check --live` finds on AWX, and its lists."""

from collections.abc import Sequence
from typing import Any

from exporter.collect.finding import Finding, look
from exporter.collect.http import Client
from exporter.records import Json

JOBS, APPROVALS, TEMPLATES = "/unified_jobs/", "/workflow_approvals/", "/unified_job_templates/"
SCHEDULES, ACTIVITY = "/schedules/", "/activity_stream/"
AUDITOR = "the type System Auditor, or from Ansible Automation Platform 2.5 on Platform Auditor"


async def check(client: Client, _options: Any) -> list[Finding]:
    """The version, what the user may see, the first page of each list, and for how long jobs are kept."""
    ping, findings = await look("version", client.ask("/ping/"), needs="the path of the API in the url")
    findings += [Finding("version", str(ping.find("version"))[:40])] if ping else []
    me, found = await look("user", client.ask("/me/"), needs="a log-in")
    user: Json = next(filter(is_object, me.listed("results")), {}) if me else {}
    sees_all = user.get("is_superuser") is True or user.get("is_system_auditor") is True
    few = f"others' jobs are left out, without a word; it needs {AUDITOR}"
    findings += found or [Finding("user", "it sees everything" if sees_all else few, wrong=not sees_all)]
    for path in (JOBS, APPROVALS, TEMPLATES, SCHEDULES, ACTIVITY):
        what = path.strip("/").replace("_", " ")
        page, found = await look(what, client.ask(path), needs=AUDITOR)
        items = page.listed("results") if page else []
        findings += found or [Finding(what, "the first page is read" if items else "there is none yet")]
        findings += kept(items) if path == SCHEDULES else []
    return findings


def kept(schedules: Sequence[Json]) -> list[Finding]:
    """After how many days a schedule deletes jobs: an older history is not there."""
    extra = [each.get("extra_data") for each in filter(is_object, schedules) if each.get("enabled") is True]
    days = [each["days"] for each in filter(is_object, extra) if str(each.get("days")).isdecimal()]
    return [Finding("history", f"a schedule deletes what is older than {each} days") for each in days]


def is_object(item: Json) -> bool:
    return isinstance(item, dict)
