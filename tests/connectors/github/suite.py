"""GitHub for the contract suite: a month of runs, of which some are run again, go on or wait, and of deployments."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.github import Options
from exporter.demo.fakes.github import GitHub
from tests.connectors.world import AT, World

REPO = "acme/shop"


def server() -> GitHub:
    """Some twenty runs of two workflows and a few deployments in the month before AT."""
    github, began = GitHub(), AT - timedelta(days=30)
    github.add_repository(REPO, began, topics=("unit-retail",), team="web")
    deploy, ci = (github.add_workflow(REPO, name, began) for name in ("Deploy", "CI"))
    sha = github.commit(REPO, began)
    for day in range(16):
        at = began + timedelta(days=day)
        run = github.execute(REPO, (deploy, ci)[day % 2], at, 90, {5: "failure", 11: "cancelled"}.get(day, "success"))
        if day in (5, 13):
            github.rerun(REPO, run, at + timedelta(hours=2))
            github.end(REPO, run, at + timedelta(hours=3))
        if day % 4 == 1:
            sha = github.commit(REPO, at - timedelta(hours=5), sha)
            github.ship(REPO, sha, "production", at, *(("failure",) if day == 9 else ()))
    for status in ("waiting", "queued", "in_progress"):
        github.start(REPO, ci, AT - timedelta(minutes=9), status=status)
    github.ship(
        REPO, github.commit(REPO, AT - timedelta(hours=1), sha), "production", AT - timedelta(minutes=9), "queued"
    )
    return github


def world(_folder: Path) -> World:
    github = server()
    its = github.repositories[REPO]
    workflow, first, opened = next(iter(its.workflows)), next(iter(its.runs)), [*its.runs][-1]
    again = next(key for key, attempts in its.runs.items() if len(attempts) > 1)

    def unknown_word() -> str:
        its.runs[first][-1]["conclusion"] = "pondered"
        return str(first)

    def missing_time() -> str:
        its.runs[first][-1]["updated_at"] = None
        return str(first)

    def delete() -> str:
        del its.runs[opened]
        return str(opened)

    def work(at: datetime) -> str:
        return str(github.execute(REPO, workflow, at, 5))

    def absurd() -> Callable[[], None]:
        here, github.last_id = github.last_id, 10**17
        run = github.execute(REPO, workflow, AT + timedelta(seconds=5), 5)
        github.last_id = here

        def undo() -> None:
            del its.runs[run]

        return undo

    def start_over() -> set[str]:
        github.last_id = first - 7
        its.runs.clear()
        its.deployments.clear()
        return {work(AT - timedelta(days=day)) for day in range(8, 1, -1)}

    return World(
        app=github.app(),
        options=Options(repositories=(REPO,), page_size=7),
        auth=Auth.bearer(github.token),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        place="GitHub's lists are asked for by number and by time",
        zone="GitHub writes UTC, wherever it stands",
        about_one=(str(again), lambda request: f"/runs/{again}/attempts/" in request.path),
        quiet_requests=9,
    )
