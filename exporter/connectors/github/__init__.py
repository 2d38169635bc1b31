"""GitHub: a workflow run is a run, with each of its attempts; a deployment is a change; a workflow is a workflow.

API      REST, version 2022-11-28, of github.com, of a company on GHE.com or of GitHub Enterprise Server (the url ends
         in /api/v3 there); a bearer token, or a GitHub App.
Access   A GitHub App of the organization (Settings > Developer settings > GitHub Apps > New, without a webhook), with
         the repository permissions Actions, Contents, Deployments and Metadata, each read-only; install it on the
         repositories, and generate a private key. Or a fine-grained personal access token with the same permissions,
         which has to be renewed. A classic token needs the scope repo, which may also write.
Polls    Of each repository the newest runs and deployments, down to those known; by id what was open and is in neither;
         earlier attempts of what was run again, the statuses of each deployment, and its commits beside those live
         before; hourly the workflows and the runs of two days, daily those of two months.
Cursor   By repository what runs.py and deployments.py remember. owed: items whose details could not be read.
Blind    When an attempt left its queue: there is no time in the queue, and waiting is part of how long a run took. When
         a run ended that was first seen later: GitHub gives the time of its last change. Who approved. Whether a
         failure is the fault of the code or of a machine: all are application exceptions. A skipped run counts as
         cancelled. A run that is run again two days or more after it was created is seen within a day. Deployments that
         GitHub does not know of. When work began on what was squashed into one commit. A deployment that fails after it
         had succeeded and was followed by thirty others. A renamed workflow or repository begins a new series.
Checked  The published OpenAPI document of 2022-11-28, and a fake that is held to it.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from exporter.base.errors import utc
from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client, Forbidden, Gone, NotUnderstood, Partial, SourceError
from exporter.collect.sweep import swept
from exporter.connectors.github.deployments import Deployments
from exporter.connectors.github.repository import Found, Repository, sound, written
from exporter.connectors.github.runs import RERUNS, Runs, ids
from exporter.records import Change, Json, Record, Run, Workflow, instant

RECORDS = (Run, Change, Workflow)
AUTH = Scheme(token_url="/app/installations/{installation_id}/access_tokens")  # noqa: S106 - an address
HEADERS = {
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "outcome-exporter",  # without one it answers 403
}
DAY = timedelta(days=1)
SOON = timedelta(days=14)  # to renew a token in
MOST_CHECKED = 20  # repositories that are looked at before going live
NAME = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._*-]+")
Listed = AsyncIterator[tuple[Sequence[str], Json]]
PERMISSIONS = re.compile(r"[a-z_]+=[a-z]+([,;] ?[a-z_]+=[a-z]+)*")
ABOUT = ("full_name", "name", "html_url", "topics", "custom_properties", "language", "default_branch")


def owned(name: str) -> str:
    """The name of a repository, or a pattern of names; ValueError where it has no owner."""
    if not NAME.fullmatch(name):
        raise ValueError("write the owner and the name of a repository, such as acme/shop or acme/*")
    return name


Name = Annotated[str, AfterValidator(owned), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one account."""

    repositories: Annotated[tuple[Name, ...], Field(min_length=1)]
    environments: tuple[str, ...] = ()  # patterns of those whose deployments are changes; default: all that are to last
    approvals: Literal["wait", "time_out"] = "wait"  # what becomes of runs that nobody approves
    page_size: Annotated[int, Field(ge=1, le=100)] = 100  # GitHub gives no more


def judge(answer: Answer) -> SourceError | None:
    """GitHub refuses with 403 for four reasons, and lists nothing where a repository has another name now."""
    said = str(answer.find("message"))
    if answer.status in (403, 429) and (
        answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers or "rate limit" in said
    ):
        # The other limits, of too much at once, have nothing to do with the hour that the headers tell of.
        hourly = answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers
        return answer.rate_limited() if hourly else replace(answer, headers={}).rate_limited()
    if answer.status == 403 and "X-GitHub-SSO" in answer.headers:
        return answer.forbidden("the token is not authorized for the single sign-on of this organization")
    needed = answer.headers.get("X-Accepted-GitHub-Permissions", "")
    if answer.status == 403 and PERMISSIONS.fullmatch(needed):
        return answer.forbidden(f"the token or app lacks a permission; it needs {needed}")
    if answer.status == 301:
        return Gone(f"{answer.where}: HTTP 301: the repository has another name now; write that under repositories")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    details, before = Details(client, cursor.get("owed", {})), cursor.get("repositories", {})
    faults: list[SourceError] = []
    repositories = await chosen(client, options, before, faults)
    names = [about["full_name"] for about in repositories]
    states = {**before, **{name: before.get(name, {}) for name in names}}
    if not faults:
        details.settle([key for key in details.owed if key.partition(" ")[0] not in names])
    read = list[tuple[Runs, Deployments]]()

    def page(found: Found) -> Page:
        state = {"repositories": {name: dict(state) for name, state in states.items()}, "owed": details.to_cursor()}
        return Page(found.reads, state, gone=found.gone)

    for about in repositories:
        name = about["full_name"]
        others = {"repositories": {other: state for other, state in states.items() if other != name}}
        states[name] = dict(states[name])
        repository = Repository(client, about, states[name], others, details, options.page_size)
        runs = Runs(repository, held_times_out=options.approvals == "time_out")
        deployments = Deployments(repository, options.environments)
        try:
            async for found in parts(repository, runs, deployments):
                if found.reads or found.gone:
                    yield page(found)
            read.append((runs, deployments))
        except (Gone, Forbidden) as error:
            faults.append(error)
    read.sort(key=lambda each: str(each[0].of.about["full_name"]))
    if faults and not read:
        raise faults[0]
    yield page(Found())
    async for found, part in looked_through(client, read, page(Found()).cursor, doubted=bool(faults)):
        yield replace(part, reads=found.reads, gone=found.gone, cursor=page(found).cursor)
    if faults:
        raise Partial("; ".join(map(str, faults)))


async def parts(repository: Repository, runs: Runs, deployments: Deployments) -> AsyncIterator[Found]:
    """All of one repository."""
    yield await repository.inventory()
    async for found in runs.read():
        yield found
    with repository.client.optional("deployments"):
        async for found in deployments.read():
            yield found


async def looked_through(
    client: Client, read: Sequence[tuple[Runs, Deployments]], cursor: Cursor, *, doubted: bool
) -> AsyncIterator[tuple[Found, Page]]:
    """Once a day, which runs and deployments there are, and which of the runs were run again in the last month.

    `doubted`: not all repositories can be read now.
    """
    again = list[tuple[Runs, Sequence[Json]]]()

    names = [reader.of.about["full_name"] for reader, _ in read]

    def place_of(name: Json) -> int:
        return names.index(name) if name in names else 0

    async def runs(since: datetime | None, place: Json) -> Listed:
        at, begin = place or (None, None)
        for name, (reader, _) in [*zip(names, read, strict=True)][place_of(at) :]:
            # What was created earlier may have been run again since.
            first = instant(begin) or (since or client.since) - RERUNS
            async for reached, answer in reader.of.created(first, client.at):
                again.append((reader, answer.items))
                yield [id_ for item in answer.items if sound(item) for id_ in ids(item)], (name, reached.isoformat())
            begin = None
        yield (), None

    async def deployments(since: datetime | None, place: Json) -> Listed:
        oldest = written(since or client.since)
        for name, (_, reader) in [*zip(names, read, strict=True)][place_of(place) :]:
            async for answer in reader.of.newest("/deployments", None, None):
                ours = [item for item in answer.items if sound(item)]
                yield [str(item["id"]) for item in ours], name
                if any(item["created_at"] < oldest for item in ours):
                    break
        yield (), None

    async for part in swept(
        client, cursor, {Run: "started_at"}, runs, every=DAY, back=RERUNS, parts=names, doubted=doubted
    ):
        found = [await reader.found([item for item in items if reader.changed(item)]) for reader, items in again]
        again.clear()
        yield Found([read for each in found for read in each.reads], [key for each in found for key in each.gone]), part
    if not client.lacking and not doubted:
        of: Mapping[type[Record], str] = {Change: "requested_at"}
        async for part in swept(client, cursor, of, deployments, every=DAY, back=RERUNS, parts=names):
            yield Found(), part


async def check(client: Client, options: Options) -> list[Finding]:
    """How much may be asked, until when the token holds, and the first page of each resource of each repository."""
    findings = list[Finding]()
    with suppress(Gone):  # a server of one's own may have none
        limit = await client.ask("/rate_limit")
        left, most = limit.find("resources.core.remaining"), limit.find("resources.core.limit")
        findings = [Finding("rate limit", f"{left} of {most} requests an hour are left"), *token(limit, client.at)]
    with suppress(Gone):
        if release := (await client.ask("/meta")).find("installed_version"):
            findings.append(Finding("version", f"GitHub Enterprise Server {str(release)[:20]}"))
    repositories = list[Json]()
    for name in options.repositories:
        about, found = await look(name, described(client, name, ()), needs="Metadata: read")
        repositories += about or []
        findings += found or ([] if about else [Finding(name, "no repository is called so", wrong=True)])
    resources = (  # what they are called, where they are in an answer, where they are had, which permission they need
        ("workflow runs", "workflow_runs", "/actions/runs", "Actions"),
        ("workflows", "workflows", "/actions/workflows", "Actions"),
        ("deployments", None, "/deployments", "Deployments"),
        ("commits", None, "/commits", "Contents"),
    )
    for about in repositories[:MOST_CHECKED]:
        name = about["full_name"]
        for what, items, path, needs in resources:
            page, found = await look(
                f"{name}, {what}", client.ask(f"/repos/{name}{path}", {"per_page": 1}), needs=f"{needs}: read"
            )
            first = "the first page is read" if page and page.listed(items) else "there is none yet"
            findings += found or [Finding(f"{name}, {what}", first)]
    if len(repositories) > MOST_CHECKED:
        findings.append(Finding("repositories", f"{len(repositories)}; the first {MOST_CHECKED} were looked at"))
    return findings


def token(answer: Answer, now: datetime) -> list[Finding]:
    """Until when the token holds, where it is one that ends: it is to be renewed in time."""
    text = answer.headers.get("GitHub-Authentication-Token-Expiration", "")
    with suppress(ValueError):
        ends = utc(datetime.fromisoformat(re.sub(r" (?=[+-])", "", text.removesuffix(" UTC"))))
        return [Finding("token", f"ends on {ends:%Y-%m-%d}", wrong=ends - now < SOON)]
    return []


async def chosen(client: Client, options: Options, known: Collection[str], faults: list[SourceError]) -> list[Json]:
    """What GitHub says of each repository that is named, or that a pattern finds among those of an organization."""
    found: dict[str, Json] = {}
    for name in options.repositories:
        try:
            about = await client.memory.remembered(f"repository {name}", DAY, partial(described, client, name, known))
            found |= {each["full_name"]: each for each in about}
            if not about:
                faults.append(Gone(f"{name}: no repository of this organization is called so"))
        except (Gone, Forbidden) as error:
            faults.append(error)
    return [*found.values()]


async def described(client: Client, name: str, known: Collection[str]) -> list[Json]:
    """The repositories of this name or pattern. Archived ones only if known: their runs are still there."""
    owner, _, pattern = name.partition("/")
    if "*" not in pattern:
        return [shortened(await client.ask(f"/repos/{name}"))]
    pages = paging.by_link(client, f"/orgs/{owner}/repos", {"per_page": 100}, items=None)
    found = [replace(answer, body=item) async for answer in pages for item in answer.items]
    ours = [each for each in found if fnmatchcase(str(each.find("name")).lower(), pattern.lower())]
    return [shortened(each) for each in ours if not each.find("archived") or each.find("full_name") in known]


def shortened(answer: Answer) -> Json:
    """What is worth knowing of a repository; its owner by name."""
    about = {word: answer.find(word) for word in ABOUT} | {"owner": answer.find("owner.login")}
    if not all(isinstance(about[word], str) for word in ("full_name", "name", "html_url", "owner")):
        raise NotUnderstood(f"{answer.where}: this is no repository; check that the url is the address of the API")
    return about
