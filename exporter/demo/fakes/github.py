"""A fake GitHub: its REST API, version 2022-11-28, over repositories that a simulation works in while it is served."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from aiohttp import web

from exporter.base.clock import now
from exporter.demo.fakes.fault import Faults, Handler
from exporter.demo.fakes.github_answers import (
    FILTERS,
    PAGE,
    PARAMETERS,
    VERSIONS,
    WALL,
    Row,
    account,
    ancestors,
    between,
    body_of,
    page,
    permission,
    said,
    size_of,
    text,
)


@dataclass
class Repo:
    """One repository and the work in it."""

    about: Row
    workflows: dict[int, Row] = field(default_factory=dict)
    runs: dict[int, list[Row]] = field(default_factory=dict)  # the attempts of each; lists show the last
    deployments: dict[int, Row] = field(default_factory=dict)
    statuses: dict[int, list[Row]] = field(default_factory=dict)  # of each deployment, oldest first
    commits: dict[str, Row] = field(default_factory=dict)
    moved: bool = False  # it has another name now


@dataclass
class GitHub:
    """One account's view. `permissions`: of its token, such as actions; `wall`: what is said beyond 1,000 results."""

    token: str = "github-token"  # noqa: S105 - made up
    permissions: frozenset[str] = frozenset({"metadata", "actions", "deployments", "contents"})
    wall: Literal["empty", "422"] = "empty"
    clock: Callable[[], datetime] = now
    limit: int = 5_000  # requests an hour
    repositories: dict[str, Repo] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    used: int = 0
    misread: list[str] = field(default_factory=list)  # questions that GitHub would take otherwise than they are meant
    expires: str | None = None  # when the token ends
    release: str = ""  # of a server of one's own
    is_app: Callable[[str], bool] = lambda _: False  # whose JSON web token gets an installation's, for an hour
    tokens: dict[str, datetime] = field(default_factory=dict)  # of installations: until when each holds
    last_id: int = 30_433_000

    # What happens in the world.

    def add_repository(self, name: str, at: datetime, *, topics: Sequence[str] = (), **properties: str) -> str:
        """A repository `owner/name`; its name."""
        owner, short = name.split("/")
        self.repositories[name] = Repo(
            {
                "id": self._id(),
                "name": short,
                "full_name": name,
                "owner": {"login": owner, "id": 1, "type": "Organization"},
                "private": True,
                "html_url": f"https://github.com/{name}",
                "archived": False,
                "topics": list(topics),
                "custom_properties": properties,
                "language": "Python",
                "default_branch": "main",
                "created_at": text(at),
            }
        )
        return name

    def add_workflow(self, repo: str, name: str, at: datetime, *, state: str = "active", file: str = "") -> int:
        """An active workflow; its id."""
        path = f".github/workflows/{file or name.lower().replace(' ', '-') + '.yml'}"
        key = self._id()
        row = {"id": key, "name": name, "path": path, "state": state, "created_at": text(at), "updated_at": text(at)}
        self.repositories[repo].workflows[key] = row | {"html_url": f"https://github.com/{repo}/blob/main/{path}"}
        return key

    def start(
        self, repo: str, workflow: int, at: datetime, *, event: str = "push", by: str = "ana", status: str = ""
    ) -> int:
        """A run that begins; its id."""
        its, key = self.repositories[repo], self._id()
        row = its.workflows[workflow]
        its.runs[key] = [
            {
                "id": key,
                "name": row["name"],
                "node_id": f"WFR_{key}",
                "head_branch": "main",
                "head_sha": f"{key:040x}",
                "path": f"{row['path']}@main",
                "display_title": "Fix cart",
                "run_number": len(its.runs) + 1,
                "event": event,
                "status": status or "in_progress",
                "conclusion": None,
                "workflow_id": workflow,
                "html_url": f"https://github.com/{repo}/actions/runs/{key}",
                "pull_requests": [],
                "created_at": text(at),
                "updated_at": text(at),
                "actor": account(by),
                "run_attempt": 1,
                "run_started_at": text(at),
                "triggering_actor": account(by),
                "head_commit": None,
                "repository": {name: its.about[name] for name in ("id", "name", "full_name", "private")},
            }
        ]
        return key

    def move(self, repo: str, run: int, at: datetime, status: str, conclusion: str | None = None) -> None:
        """The last attempt of a run goes on."""
        self.repositories[repo].runs[run][-1] |= {"status": status, "conclusion": conclusion, "updated_at": text(at)}

    def end(self, repo: str, run: int, at: datetime, conclusion: str = "success") -> None:
        """The last attempt of a run ends."""
        self.move(repo, run, at, "completed", conclusion)

    def execute(self, repo: str, workflow: int, at: datetime, seconds: float, conclusion: str = "success") -> int:
        """A whole run; its id."""
        run = self.start(repo, workflow, at)
        self.end(repo, run, at + timedelta(seconds=seconds), conclusion)
        return run

    def rerun(self, repo: str, run: int, at: datetime, *, by: str = "bo") -> None:
        """A run is run again, under its id, and as if it were as old as it was."""
        attempts = self.repositories[repo].runs[run]
        more: Row = {"status": "queued", "conclusion": None, "run_started_at": text(at), "updated_at": text(at)}
        attempts.append(attempts[-1] | more | {"run_attempt": len(attempts) + 1, "triggering_actor": account(by)})

    def commit(self, repo: str, at: datetime, *parents: str) -> str:
        """A commit; its sha."""
        key = hashlib.sha1(f"{repo} {self._id()}".encode(), usedforsecurity=False).hexdigest()
        when = {"name": "Ana", "email": "ana@example.test", "date": text(at)}
        self.repositories[repo].commits[key] = {
            "sha": key,
            "commit": {"message": "Fix cart", "author": when, "committer": when},
            "parents": [{"sha": parent} for parent in parents],
        }
        return key

    def deploy(
        self, repo: str, sha: str, environment: str, at: datetime, *, by: str = "ana", app: bool = True, **more: Any
    ) -> int:
        """A deployment is asked for; its id."""
        key = self._id()
        self.repositories[repo].deployments[key] = {
            "id": key,
            "node_id": f"DE_{key}",
            "sha": sha,
            "ref": "main",
            "task": "deploy",
            "payload": {},
            "original_environment": environment,
            "environment": environment,
            "description": None,
            "creator": account(by),
            "created_at": text(at),
            "updated_at": text(at),
            "transient_environment": False,
            "production_environment": environment == "production",
            "performed_via_github_app": {"slug": "github-actions"} if app else None,
            **more,
        }
        self.repositories[repo].statuses[key] = []
        return key

    def status(self, repo: str, deployment: int, state: str, at: datetime) -> None:
        """A deployment gets a status. A success makes older ones of its environment inactive."""
        its = self.repositories[repo]
        row, key = its.deployments[deployment], self._id()
        link = f"https://github.com/{repo}/actions/runs/1/job/{key}"
        its.statuses[deployment].append(
            {"id": key, "state": state, "environment": row["environment"], "log_url": link, "created_at": text(at)}
        )
        row["updated_at"] = text(at)
        for other, found in its.deployments.items() if state == "success" else ():
            same = found["environment"] == row["environment"] and not found["transient_environment"]
            last = [status["state"] for status in its.statuses[other]][-1:]
            if other < deployment and same and last not in ([], ["inactive"]):
                self.status(repo, other, "inactive", at)

    def ship(self, repo: str, sha: str, environment: str, at: datetime, *states: str) -> int:
        """A deployment with all its statuses, a minute apart; its id."""
        key = self.deploy(repo, sha, environment, at)
        for minute, state in enumerate(states or ("in_progress", "success"), 1):
            self.status(repo, key, state, at + timedelta(minutes=minute))
        return key

    # What it answers.

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._accounted, self._allowed])
        repo = "/repos/{owner}/{repo}"
        for path, handler in {
            "/rate_limit": self._rate_limit,
            "/meta": self._meta,
            "/orgs/{org}/repos": self._repositories,
            repo: self._repository,
            f"{repo}/actions/runs": self._runs,
            f"{repo}/actions/runs/{{run_id}}": self._run,
            f"{repo}/actions/runs/{{run_id}}/attempts/{{attempt_number}}": self._run,
            f"{repo}/actions/workflows": self._workflows,
            f"{repo}/deployments": self._deployments,
            f"{repo}/deployments/{{deployment_id}}": self._deployment,
            f"{repo}/deployments/{{deployment_id}}/statuses": self._statuses,
            f"{repo}/commits": self._commits,
            f"{repo}/commits/{{ref}}": self._commit,
            f"{repo}/compare/{{basehead}}": self._compare,
        }.items():
            app.router.add_get(path, handler)
        app.router.add_post("/app/installations/{id}/access_tokens", self._installation)
        return app

    @property
    def _accounted(self) -> Any:
        @web.middleware
        async def accounted(request: web.Request, handler: Handler) -> web.StreamResponse:
            """The limit, with its headers; what has not changed costs nothing."""
            free = request.path == "/rate_limit"
            if self.used >= self.limit and not free:
                answer: web.StreamResponse = said(403, "API rate limit exceeded for user ID 1.")
            else:
                answer = await handler(request)
                etag = f'W/"{hashlib.sha1(body_of(answer), usedforsecurity=False).hexdigest()}"'
                if answer.status == 200 and request.headers.get("If-None-Match") == etag:
                    answer = web.Response(status=304)
                elif not free:
                    self.used += 1
                answer.headers["ETag"] = etag
            reset = int((self.clock().replace(minute=0, second=0) + timedelta(hours=1)).timestamp())
            answer.headers["Date"] = format_datetime(self.clock(), usegmt=True)
            left = max(0, self.limit - self.used)
            for word, number in {"Limit": self.limit, "Remaining": left, "Used": self.used, "Reset": reset}.items():
                answer.headers[f"X-RateLimit-{word}"] = str(number)
            if self.expires:
                answer.headers["GitHub-Authentication-Token-Expiration"] = self.expires
            return answer

        return accounted

    @property
    def _allowed(self) -> Any:
        @web.middleware
        async def allowed(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Headers, token and permissions."""
            if request.headers.get("User-Agent", "").startswith("Python/"):  # none was given
                return said(403, "Request forbidden by administrative rules. Please make sure your request has a"
                                 " User-Agent header.")  # fmt: skip
            version = request.headers.get("X-GitHub-Api-Version")
            if version not in VERSIONS:
                return said(400, f"API version {version} is not supported.")
            if request.path.startswith("/app/"):
                return await handler(request)
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if token != self.token and self.tokens.get(token, self.clock()) <= self.clock():
                return said(401, "Bad credentials")
            route = request.match_info.route.resource
            known = PARAMETERS.get(route.canonical if route else "", set())
            self.misread += [f"{request.path}: {name}" for name in request.query if name not in known]
            if int(request.query.get("per_page", 30)) > 100:
                self.misread.append(f"{request.path}: per_page")
            return self._refused(request.path) or await handler(request)

        return allowed

    def _refused(self, path: str) -> web.Response | None:
        """A repository that is not there, not here any more or not to be seen, and what the token may not do."""
        its = self.repositories.get("/".join(path.split("/")[2:4]))
        if path.startswith("/repos/") and (its is None or "metadata" not in self.permissions):
            return said(404, "Not Found")
        if its and its.moved:
            return said(301, "Moved Permanently", Location="https://api.github.com/repositories/1")
        if (needed := permission(path)) not in self.permissions:
            lacking = {"X-Accepted-GitHub-Permissions": f"{needed}=read"}
            return said(403, "Resource not accessible by personal access token", **lacking)
        return None

    async def _installation(self, request: web.Request) -> web.Response:
        if not self.is_app(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            return said(401, "A JSON web token could not be decoded")
        token, ends = f"ghs_{self._id()}", self.clock() + timedelta(hours=1)
        self.tokens[token] = ends
        return web.json_response({"token": token, "expires_at": text(ends)}, status=201)

    async def _rate_limit(self, _request: web.Request) -> web.Response:
        core = {"limit": self.limit, "remaining": self.limit - self.used, "used": self.used}
        return web.json_response({"resources": {"core": core}, "rate": core})

    async def _meta(self, _request: web.Request) -> web.Response:
        return web.json_response({"installed_version": self.release} if self.release else {})

    async def _repositories(self, request: web.Request) -> web.Response:
        owned = [repo.about for repo in self.repositories.values()]
        return page(request, [about for about in owned if about["owner"]["login"] == request.match_info["org"]])

    async def _repository(self, request: web.Request) -> web.Response:
        return web.json_response(self._of(request).about)

    async def _runs(self, request: web.Request) -> web.Response:
        span = request.query.get("created")
        rows = [attempts[-1] for attempts in reversed(self._of(request).runs.values())]
        if span:
            begin, end = between(span)
            rows = [row for row in rows if begin <= row["created_at"] <= end]
        rows.sort(key=lambda row: str(row["created_at"]), reverse=True)
        if FILTERS & set(request.query):
            last = int(request.query.get("page", 1)) * size_of(request)
            if last > WALL and self.wall == "422" and last - size_of(request) >= WALL:
                return said(422, "Only the first 1000 search results are available")
            return page(request, rows[:WALL], "workflow_runs", len(rows))
        return page(request, rows, "workflow_runs")

    async def _run(self, request: web.Request) -> web.Response:
        attempts = self._of(request).runs.get(int(request.match_info["run_id"]), [])
        number = int(request.match_info.get("attempt_number", len(attempts)))
        return web.json_response(attempts[number - 1]) if 0 < number <= len(attempts) else said(404, "Not Found")

    async def _workflows(self, request: web.Request) -> web.Response:
        return page(request, [*self._of(request).workflows.values()], "workflows")

    async def _deployments(self, request: web.Request) -> web.Response:
        rows = sorted(self._of(request).deployments.values(), key=lambda row: int(row["id"]), reverse=True)
        return page(request, rows)

    async def _deployment(self, request: web.Request) -> web.Response:
        row = self._of(request).deployments.get(int(request.match_info["deployment_id"]))
        return web.json_response(row) if row else said(404, "Not Found")

    async def _statuses(self, request: web.Request) -> web.Response:
        found = self._of(request).statuses.get(int(request.match_info["deployment_id"]))
        return said(404, "Not Found") if found is None else page(request, found[::-1])

    async def _commits(self, request: web.Request) -> web.Response:
        return page(request, [*self._of(request).commits.values()][::-1])

    async def _commit(self, request: web.Request) -> web.Response:
        row = self._of(request).commits.get(request.match_info["ref"])
        return web.json_response(row) if row else said(422, "No commit found for SHA")

    async def _compare(self, request: web.Request) -> web.Response:
        commits = self._of(request).commits
        base, _, head = request.match_info["basehead"].partition("...")
        if base not in commits or head not in commits:
            return said(404, "Not Found")
        before, after = ancestors(commits, base), ancestors(commits, head)
        ahead = sorted((commits[sha] for sha in after - before), key=lambda row: str(row["commit"]["author"]["date"]))
        words = {(False, False): "identical", (True, False): "ahead", (False, True): "behind", (True, True): "diverged"}
        status = words[bool(after - before), bool(before - after)]
        counts = {"status": status, "ahead_by": len(ahead), "behind_by": len(before - after)}
        size = size_of(request) if PAGE & set(request.query) else 250
        return web.json_response({**counts, "total_commits": len(ahead), "commits": ahead[:size], "files": []})

    def _of(self, request: web.Request) -> Repo:
        return self.repositories[f"{request.match_info['owner']}/{request.match_info['repo']}"]

    def _id(self) -> int:
        self.last_id += 7
        return self.last_id
