"""What GitHub takes and how it answers: parameters, pages with links, refusals, accounts and times."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

VERSIONS = ("2022-11-28", "2026-03-10")
WALL = 1_000  # of what is asked for with a filter no more is shown
PAGE = {"per_page", "page"}
FILTERS = {"actor", "branch", "check_suite_id", "created", "event", "head_sha", "status"}
PARAMETERS: dict[str, set[str]] = {  # by route; GitHub itself passes over others
    "/rate_limit": set(),
    "/meta": set(),
    "/orgs/{org}/repos": {*PAGE, "type", "sort", "direction"},
    "/repos/{owner}/{repo}": set(),
    "/repos/{owner}/{repo}/actions/runs": {*PAGE, *FILTERS, "exclude_pull_requests"},
    "/repos/{owner}/{repo}/actions/runs/{run_id}": {"exclude_pull_requests"},
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}": {"exclude_pull_requests"},
    "/repos/{owner}/{repo}/actions/workflows": PAGE,
    "/repos/{owner}/{repo}/deployments": {*PAGE, "environment", "ref", "sha", "task"},
    "/repos/{owner}/{repo}/deployments/{deployment_id}": set(),
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": PAGE,
    "/repos/{owner}/{repo}/commits": {*PAGE, "sha", "since", "until"},
    "/repos/{owner}/{repo}/commits/{ref}": PAGE,
    "/repos/{owner}/{repo}/compare/{basehead}": PAGE,
}
Row = dict[str, Any]


def permission(path: str) -> str:
    """Which a question needs."""
    what = [*path.split("/"), "", ""][4] if path.startswith("/repos/") else ""
    return {"actions": "actions", "deployments": "deployments", "compare": "contents", "commits": "contents"}.get(
        what, "metadata"
    )


def ancestors(commits: dict[str, Row], sha: str) -> set[str]:
    """A commit and all it comes from."""
    found, left = set[str](), [sha]
    while left:
        if (each := left.pop()) not in found:
            found.add(each)
            left += [parent["sha"] for parent in commits[each]["parents"]]
    return found


def between(span: str) -> tuple[str, str]:
    """The times that a `created` names, both included."""
    begin, dots, end = span.partition("..")
    if not dots:
        begin, end = (span.removeprefix(">="), "9") if span.startswith(">=") else (span, span + "~")
    return begin, end


def page(request: web.Request, rows: Sequence[Row], items: str = "", total: int | None = None) -> web.Response:
    """A page of a list, with links to the others."""
    size, number = size_of(request), int(request.query.get("page", 1))
    shown = list(rows[(number - 1) * size : number * size])
    body = {"total_count": len(rows) if total is None else total, items: shown} if items else shown
    last = max(1, -(-len(rows) // size))
    pages = {"prev": number - 1, "first": 1} if number > 1 else {}
    pages |= {"next": number + 1, "last": last} if number < last else {}
    links = [f'<{request.url.update_query(page=where)}>; rel="{rel}"' for rel, where in pages.items()]
    return web.json_response(body, headers={"Link": ", ".join(links)} if links else {})


def size_of(request: web.Request) -> int:
    return min(100, int(request.query.get("per_page", 30)))


def said(status: int, message: str, **headers: str) -> web.Response:
    """A refusal as GitHub words it."""
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return web.json_response(body, status=status, headers=headers)


def body_of(answer: web.StreamResponse) -> bytes:
    return (
        answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else json.dumps(0).encode()
    )


def account(login: str) -> Row | None:
    """Who did something; None where the account was deleted."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "id": len(login), "type": kind} if login else None


def text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
