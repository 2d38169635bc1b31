"""AWX for the contract suite: a month of jobs and workflows, of which some fail, wait for a person or go on."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.awx import Options
from tests.connectors.world import AT, World
from tests.fakes.awx import Awx

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ENDS = {4: "failed", 9: "error", 14: "canceled"}


def installation() -> Awx:
    """Some twenty jobs of two templates and a few workflow jobs in the month before AT; ids from 4001."""
    awx, began = Awx(), AT - 30 * DAY
    deploy, patch = awx.template("Deploy shop"), awx.template("Patch", organization="Operations")
    onboard = awx.template("Onboard user", "workflow_job_template")
    awx.schedule(patch)
    for day in range(20):
        at = began + day * DAY
        awx.execute((deploy, patch)[day % 2], at, at + 9 * MINUTE, ENDS.get(day, "successful"))
        if day % 5 == 2:
            whole = awx.launch(onboard, at)
            awx.enter(whole, "running", at)
            awx.enter(awx.launch(deploy, at, within=whole), "successful", at + MINUTE, started=at.isoformat())
            awx.decide(awx.approve(whole, at + MINUTE), at + 5 * MINUTE, by="bo" if day % 2 else "")
            awx.enter(whole, "successful", at + 6 * MINUTE)
    waits = awx.launch(onboard, AT - 50 * MINUTE)
    awx.enter(waits, "running", AT - 49 * MINUTE)
    awx.approve(waits, AT - 40 * MINUTE)
    awx.enter(awx.launch(deploy, AT - 30 * MINUTE), "running", AT - 29 * MINUTE)
    awx.launch(patch, AT - 9 * MINUTE, "scheduled")
    return awx


def world(_folder: Path) -> World:
    awx = installation()
    first, last, template = min(awx.jobs), max(awx.jobs), min(awx.templates)

    def unknown_word() -> str:
        awx.jobs[first]["status"] = "pondering"
        return str(first)

    def missing_time() -> str:
        awx.jobs[first]["started"] = None
        return str(first)

    def delete() -> str:
        awx.delete(last, AT)
        return str(last)

    def absurd() -> Callable[[], None]:
        far = awx.execute(template, AT, AT + 365 * DAY)
        return lambda: awx.jobs.__delitem__(far)

    def start_over() -> set[str]:
        awx.jobs.clear()
        awx.approvals.clear()
        awx.ids["job"] = count(first + 3)
        return {str(awx.execute(template, AT + n * MINUTE, AT + n * MINUTE)) for n in range(7)}

    return World(
        app=awx.app(),
        options=Options(page_size=4),
        auth=Auth.bearer(awx.token),
        path=awx.path,
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=lambda at: str(awx.execute(template, at, at)),
        absurd=absurd,
        start_over=start_over,
        about_one="nothing is asked about single jobs",
        place="AWX's lists are asked for by id, and by when jobs ended",
        zone="AWX writes UTC, wherever it stands",
        quiet_requests=12,
    )
