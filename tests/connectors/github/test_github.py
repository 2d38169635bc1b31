"""GitHub's own ways: runs that are run again, a wall at 1,000 results, lists newest first, limits, and permissions."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
import msgspec
import pytest
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collect.auth import App, Grant
from exporter.collect.contract import needs
from exporter.collect.http import (
    Answer,
    Auth,
    AuthFailed,
    Client,
    HttpSettings,
    NotUnderstood,
    Partial,
    RateLimited,
    Unavailable,
)
from exporter.connectors import github as connector
from exporter.connectors.github import Options, check, poll
from exporter.connectors.github.repository import sound
from exporter.demo.fakes.github import GitHub
from exporter.demo.fakes.github_answers import PARAMETERS
from exporter.records import Change, Record, Run
from tests.connectors.world import AT, SINCE
from tests.fakes.oauth import KEY, PEM
from tests.test_truth import SPECS

REPO = "acme/shop"
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def is_app(token: str) -> bool:
    """Whether it is a JSON web token of app 7."""
    past: Any = {"require": ["iss", "iat", "exp"], "verify_exp": False, "verify_iat": False}
    return bool(jwt.decode(token, KEY.public_key(), algorithms=["RS256"], options=past)["iss"] == "7")


class Poller:
    """Polls one GitHub again and again, and stores as the poller does."""

    def __init__(self, github: GitHub, **options: Any) -> None:
        self.github = github
        self.options = Options(**{"repositories": (REPO,), **options})
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.cursor: Any = {}
        self.memory: Any = {}
        self.listed = dict[str, set[str]]()  # by what was swept
        self.lacking: dict[str, str] = {}

    async def poll(self, at: datetime = AT, *, pages: int | None = None, auth: Auth | Grant | None = None) -> list[str]:
        """One poll, or so many pages of it; what was asked."""
        self.github.faults.requests.clear()
        self.github.clock = lambda: at
        async with TestServer(self.github.app()) as server:
            url = str(server.make_url("")).rstrip("/")
            if isinstance(auth, App):
                auth = App(url=url + connector.AUTH.token_url.format(installation_id=5), app_id="7", key=PEM)
            http = HttpSettings(url=url, auth=auth or Auth.bearer(self.github.token), attempts=1)
            async with Client(http, at=at, since=SINCE, dialect=needs(connector).dialect, memory=self.memory) as client:
                try:
                    await self.store(client, pages)
                finally:
                    self.lacking = client.lacking
        return [request.removeprefix("GET ") for request in self.github.faults.requests]

    async def store(self, client: Client, pages: int | None) -> None:
        came = 0
        async for page in poll(client, self.options, self.cursor):
            self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
            for key in page.gone:
                self.records.pop(key, None)
            self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            self.memory = client.memory.changes() or self.memory
            if page.sweep:
                self.listed.setdefault(page.sweep.name, set()).update(page.sweep.ids)
            came += 1
            if came == pages:
                break

    def tries(self, run: int) -> list[tuple[str, str | None]]:
        found = [each for each in self.records.values() if isinstance(each, Run) and each.root_id == str(run)]
        return [(each.id, each.status) for each in sorted(found, key=lambda each: each.attempt or 0)]

    def run(self, run: int) -> Run:
        found = self.records[Run, str(run)]
        assert isinstance(found, Run)
        return found

    def change(self, deployment: int) -> Change:
        found = self.records[Change, str(deployment)]
        assert isinstance(found, Change)
        return found

    def ids(self, kind: type[Record]) -> set[str]:
        return {key for its, key in self.records if its is kind}


def shop(**changes: Any) -> tuple[GitHub, int]:
    """One repository with one workflow."""
    github = GitHub(**changes)
    github.add_repository(REPO, SINCE)
    return github, github.add_workflow(REPO, "Deploy", SINCE)


async def test_a_failed_run_that_is_run_again_is_two_attempts_and_the_last_decides() -> None:
    github, workflow = shop()
    run = github.execute(REPO, workflow, AT - HOUR, 60, "failure")
    poller = Poller(github)
    await poller.poll()
    before = poller.tries(run)
    github.rerun(REPO, run, AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)
    meanwhile = poller.tries(run)
    github.end(REPO, run, AT + 3 * MINUTE)
    await poller.poll(AT + 4 * MINUTE)

    assert before == [(str(run), "failed")]
    assert meanwhile == [(f"{run}/1", "failed"), (str(run), "waiting")]
    assert poller.tries(run) == [(f"{run}/1", "failed"), (str(run), "succeeded")]


@pytest.mark.parametrize(("age", "later"), [(DAY, HOUR), (20 * DAY, DAY)])
async def test_a_run_that_has_long_left_the_first_page_and_is_run_again_is_found_all_the_same(
    age: timedelta, later: timedelta
) -> None:
    github, workflow = shop()
    run = github.execute(REPO, workflow, AT - age, 60, "failure")
    for minute in range(30):
        github.execute(REPO, workflow, AT - HOUR + minute * MINUTE, 30)
    poller = Poller(github, page_size=10)
    await poller.poll()
    github.rerun(REPO, run, AT + MINUTE)
    github.end(REPO, run, AT + 2 * MINUTE)
    await poller.poll(AT + 3 * MINUTE)
    too_early = poller.tries(run)
    await poller.poll(AT + later)

    assert too_early == [(str(run), "failed")]
    assert poller.tries(run) == [(f"{run}/1", "failed"), (str(run), "succeeded")]


async def test_attempts_are_asked_for_once() -> None:
    github, workflow = shop()
    run = github.execute(REPO, workflow, AT - HOUR, 60, "failure")
    github.rerun(REPO, run, AT - HOUR / 2)
    github.end(REPO, run, AT - HOUR / 3)
    poller = Poller(github)
    first = await poller.poll()
    github.execute(REPO, workflow, AT + MINUTE, 5)
    more = [*await poller.poll(AT + 2 * MINUTE), *await poller.poll(AT + HOUR), *await poller.poll(AT + DAY)]

    assert [path for path in first if "attempts" in path] == [f"/repos/{REPO}/actions/runs/{run}/attempts/1"]
    assert [path for path in more if "attempts" in path] == []


async def test_a_run_ended_when_that_was_first_seen_however_often_it_is_changed_later() -> None:
    github, workflow = shop()
    run = github.execute(REPO, workflow, AT - 5 * HOUR, 60)
    poller = Poller(github)
    await poller.poll()
    github.repositories[REPO].runs[run][-1]["updated_at"] = "2026-03-31T00:30:00Z"  # as when its logs are deleted
    for later in (MINUTE, HOUR, DAY):
        await poller.poll(AT + later)

    assert poller.run(run).finished_at == AT - 5 * HOUR + MINUTE


async def test_a_run_over_night_is_found_by_its_id_once_it_is_far_down_the_list() -> None:
    github, workflow = shop()
    run = github.start(REPO, workflow, AT - HOUR)
    for minute in range(30):
        github.execute(REPO, workflow, AT - 50 * MINUTE + minute * MINUTE, 30)
    poller = Poller(github, page_size=10)
    await poller.poll()
    github.end(REPO, run, AT + MINUTE, "timed_out")
    asked = await poller.poll(AT + 2 * MINUTE)

    assert f"/repos/{REPO}/actions/runs/{run}" in asked
    assert poller.tries(run) == [(str(run), "failed")]


async def test_who_waits_for_an_approval_over_night_has_not_been_abandoned() -> None:
    github, workflow = shop()
    run = github.start(REPO, workflow, AT - 2 * DAY)
    github.move(REPO, run, AT - 2 * DAY + HOUR, "waiting")
    poller = Poller(github)
    await poller.poll()
    waiting = poller.run(run)
    github.move(REPO, run, AT + MINUTE, "in_progress")
    github.end(REPO, run, AT + 2 * MINUTE)
    await poller.poll(AT + 3 * MINUTE)

    assert (waiting.status, waiting.queued_at, waiting.started_at) == ("waiting", None, None)
    assert poller.run(run).started_at == AT - 2 * DAY
    assert poller.run(run).finished_at == AT + 2 * MINUTE


@pytest.mark.parametrize("wall", ["empty", "422"])
async def test_more_runs_than_github_shows_are_all_read_in_few_questions(wall: Any) -> None:
    github, workflow = shop(wall=wall)
    for number in range(1_500):  # most of them on one day
        at = AT - 80 * DAY + number * HOUR if number < 300 else AT - 10 * DAY + (number - 300) * MINUTE
        github.execute(REPO, workflow, at, 30)
    poller = Poller(github)
    asked = await poller.poll()

    assert len(poller.ids(Run)) == 1_500
    assert len(asked) <= 40
    assert github.misread == []


async def test_a_first_sync_that_breaks_off_goes_on_where_it_was() -> None:
    github, workflow = shop()
    for number in range(1_500):
        github.execute(REPO, workflow, AT - 60 * DAY + number * HOUR / 2, 30)
    whole, broken = Poller(github), Poller(github)
    all_of_it = len(await whole.poll())
    await broken.poll(pages=13)
    rest = len(await broken.poll())

    assert broken.records == whole.records
    assert rest < all_of_it - 5


async def test_a_quiet_poll_costs_nothing_of_the_limit() -> None:
    github, workflow = shop()
    sha = github.commit(REPO, AT - DAY)
    for hour in range(30):
        github.execute(REPO, workflow, AT - hour * HOUR, 30)
    github.ship(REPO, sha, "production", AT - HOUR)
    poller = Poller(github)
    await poller.poll()
    await poller.poll(AT + MINUTE)
    used = github.used
    asked = await poller.poll(AT + 2 * MINUTE)

    assert asked == [f"/repos/{REPO}/actions/runs", f"/repos/{REPO}/deployments"]
    assert github.used == used


async def test_a_first_page_is_not_taken_for_known_before_all_below_it_is_stored() -> None:
    github, workflow = shop()
    github.execute(REPO, workflow, AT - HOUR, 30)
    poller = Poller(github, page_size=5)
    await poller.poll()
    new = {str(github.execute(REPO, workflow, AT + minute * MINUTE, 30)) for minute in range(17)}
    await poller.poll(AT + HOUR / 2, pages=1)
    await poller.poll(AT + HOUR / 2)

    assert new <= poller.ids(Run)


async def test_a_used_up_limit_says_until_when_to_wait_and_is_no_refused_credential() -> None:
    github, workflow = shop(limit=1)
    github.execute(REPO, workflow, AT - HOUR, 30)
    with pytest.raises(RateLimited) as caught:
        await Poller(github).poll()

    assert abs(caught.value.until - (AT + HOUR)) < MINUTE


TOO_FAST = {"message": "You have exceeded a secondary rate limit."}
LATER = {"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": "1774918800"}  # in an hour, and of another limit
USED_UP = {**LATER, "X-RateLimit-Remaining": "0"}
LACKS = {"X-Accepted-GitHub-Permissions": "actions=read"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (403, USED_UP, None, 3600),
        (429, USED_UP, None, 3600),
        (403, {"Retry-After": "90"}, TOO_FAST, 90),
        (429, {"Retry-After": "90"}, TOO_FAST, 90),
        (403, LATER, TOO_FAST, 60),
    ],
)
def test_a_limit_is_a_limit_whatever_it_is_of(status: int, headers: Any, body: Any, seconds: int) -> None:
    error = connector.judge(Answer(where="GET /x", status=status, at=AT, headers=headers, body=body))

    assert isinstance(error, RateLimited)
    assert error.until == AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (
            403,
            {"X-GitHub-SSO": "required; url=https://x"},
            "403: the token is not authorized for the single sign-on of",
        ),
        (403, LACKS, "403: the token or app lacks a permission; it needs actions=read"),
        (301, {}, "301: the repository has another name now"),
        (403, LATER, ""),
        (403, {"X-Accepted-GitHub-Permissions": "<b>a secret</b>"}, ""),
        (404, {**LACKS, **USED_UP, "X-GitHub-SSO": "partial"}, ""),
        (200, USED_UP, ""),
        (302, {}, ""),
    ],
)
def test_what_a_refusal_means(status: int, headers: Any, told: str) -> None:
    error = connector.judge(Answer(where="GET /x", status=status, at=AT, headers=headers))

    assert str(error or "").startswith(f"GET /x: HTTP {told}" if told else "")
    assert bool(error) == bool(told)


@pytest.mark.parametrize(("days", "soon"), [(1, True), (14, False), (15, False)])
def test_a_token_is_to_be_renewed_in_time(days: int, soon: bool) -> None:
    text = f"{AT + days * DAY:%Y-%m-%d %H:%M:%S} UTC"
    headers = {"GitHub-Authentication-Token-Expiration": text}
    (found,) = connector.token(Answer(where="GET /x", status=200, at=AT, headers=headers), AT)

    assert (found.what, found.wrong) == ("token", soon)


@pytest.mark.parametrize("lacks", ["full_name", "name", "html_url", "owner"])
def test_what_is_no_repository_is_not_taken_for_one(lacks: str) -> None:
    github, _ = shop()
    body = {**github.repositories[REPO].about, lacks: None}
    with pytest.raises(NotUnderstood, match="no repository"):
        connector.shortened(Answer(where="GET /x", status=200, at=AT, body=body))


@pytest.mark.parametrize(
    ("number", "created_at", "expected"),
    [
        (1, "2026-03-31T00:00:00Z", True),
        (2**63 - 1, "2026-03-31T00:00:00Z", True),
        (2**63, "2026-03-31T00:00:00Z", False),
        (0, "2026-03-31T00:00:00Z", False),
        (True, "2026-03-31T00:00:00Z", False),
        ("1", "2026-03-31T00:00:00Z", False),
        (1, None, False),
        (1, "n/a", False),
    ],
)
def test_which_items_books_are_kept_on(number: Any, created_at: Any, expected: bool) -> None:
    assert sound({"id": number, "created_at": created_at}) == expected


async def test_what_is_old_is_remembered_no_longer() -> None:
    github, workflow = shop()
    opened = [github.start(REPO, workflow, AT - days * DAY) for days in (32, 31)]
    again = [github.execute(REPO, workflow, AT - days * DAY, 30, "failure") for days in (32, 31)]
    for run in again:
        github.rerun(REPO, run, AT - 9 * DAY)
        github.end(REPO, run, AT - 8 * DAY)
    poller = Poller(github)
    remembered = []
    for at in (AT, AT + MINUTE, AT + DAY + MINUTE):
        await poller.poll(at)
        state = poller.cursor["repositories"][REPO]
        remembered.append([sorted(map(int, state[word])) for word in ("open", "tried")])

    assert remembered == [[opened, again], [opened[1:], again[1:]], [[], []]]


async def test_an_app_gets_a_token_and_another_when_that_has_run_out() -> None:
    github, workflow = shop(token="of nobody", is_app=is_app)
    run = github.execute(REPO, workflow, AT - HOUR, 30)
    poller, app = Poller(github), App(url="", app_id="7", key=PEM)
    first = await poller.poll(auth=app)
    github.end(REPO, run, AT + HOUR)
    await poller.poll(AT + 2 * HOUR, auth=app)

    assert first[0] == "POST /app/installations/5/access_tokens"
    assert len(github.tokens) == 2


async def test_a_deployment_that_failed_and_then_succeeded_is_a_success_of_then() -> None:
    github, _ = shop()
    deployment = github.ship(REPO, github.commit(REPO, AT - DAY), "production", AT - HOUR, "queued", "failure")
    poller = Poller(github)
    await poller.poll()
    failed = poller.change(deployment)
    github.status(REPO, deployment, "success", AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)

    assert (failed.result, failed.deployed_at) == ("failed", AT - HOUR + 2 * MINUTE)
    assert (poller.change(deployment).result, poller.change(deployment).deployed_at) == ("succeeded", AT + MINUTE)


async def test_a_deployment_that_waits_is_asked_about_until_it_ends_and_then_no_more() -> None:
    github, _ = shop()
    deployment = github.ship(REPO, github.commit(REPO, AT - DAY), "production", AT - HOUR, "queued")
    poller = Poller(github)
    await poller.poll()
    pending = poller.change(deployment).result
    row = github.repositories[REPO].deployments[deployment]
    changed_at = row["updated_at"]
    github.status(REPO, deployment, "success", AT + MINUTE)
    row["updated_at"] = changed_at  # nobody says that a status changes its deployment
    ends = await poller.poll(AT + 2 * MINUTE)
    await poller.poll(AT + 3 * MINUTE)
    quiet = await poller.poll(AT + 4 * MINUTE)

    assert (pending, poller.change(deployment).result) == ("pending", "succeeded")
    assert f"/repos/{REPO}/deployments/{deployment}" not in ends  # the list tells of it
    assert [f"/repos/{REPO}/deployments/{deployment}/statuses" in asked for asked in (ends, quiet)] == [True, False]


async def test_of_many_deployments_that_nobody_ends_each_is_asked_about_in_its_turn() -> None:
    github, _ = shop()
    commit = github.commit(REPO, AT - DAY)
    keys = [github.ship(REPO, commit, "production", AT - HOUR + n * MINUTE, "queued") for n in range(40)]
    poller = Poller(github, page_size=10)
    await poller.poll()
    rows = github.repositories[REPO].deployments
    changed_at = {key: rows[key]["updated_at"] for key in keys}
    for key in (keys[3], keys[20]):
        github.status(REPO, key, "success", AT + MINUTE)
        rows[key]["updated_at"] = changed_at[key]  # nobody says that a status changes its deployment
    asked = [await poller.poll(AT + n * MINUTE) for n in range(2, 8)]
    single = [sum(each.rpartition("/")[2].isdecimal() for each in one) for one in asked]

    assert [poller.change(key).result for key in (keys[3], keys[20], keys[39])] == ["succeeded", "succeeded", "pending"]
    assert max(single) <= 16


async def test_what_is_live_becomes_inactive_and_that_is_no_failure() -> None:
    github, _ = shop()
    first = github.commit(REPO, AT - DAY)
    second = github.commit(REPO, AT - 2 * HOUR, first)
    old, new = (github.ship(REPO, sha, "production", AT - hours * HOUR) for sha, hours in ((first, 3), (second, 1)))
    poller = Poller(github)
    await poller.poll()

    assert [status["state"] for status in github.repositories[REPO].statuses[old]][-1] == "inactive"
    assert [poller.change(each).result for each in (old, new)] == ["succeeded", "succeeded"]


async def test_only_deployments_that_are_new_or_changed_are_asked_about_again() -> None:
    github, _ = shop()
    keys = deployments(github, 40)
    poller = Poller(github)
    await poller.poll()
    before = poller.change(keys[11]).first_commit_at
    github.status(REPO, keys[10], "failure", AT + MINUTE)  # of those remembered the oldest
    new = github.ship(REPO, github.commit(REPO, AT), "production", AT + 2 * MINUTE, "failure")
    asked = await poller.poll(AT + HOUR / 2)

    about = sorted(int(path.split("/")[-2]) for path in asked if path.endswith("/statuses"))
    assert about == [keys[10], keys[11], new]  # what came after the one that failed brought its commits, too
    assert poller.change(keys[10]).result == "failed"
    assert (before, poller.change(keys[11]).first_commit_at) == (AT - 49 * HOUR, AT - 50 * HOUR)


async def test_a_long_history_of_deployments_is_read_in_the_order_in_which_they_were_made() -> None:
    github, _ = shop()
    keys = deployments(github, 25)
    poller = Poller(github, page_size=10)
    asked = await poller.poll()

    assert [poller.change(key).first_commit_at for key in keys] == [AT - 60 * HOUR + n * HOUR for n in range(25)]
    assert len([path for path in asked if path.endswith("/deployments")]) == 5  # down three pages, and up again


async def test_a_page_of_more_deployments_than_are_remembered_compares_each_with_the_one_before() -> None:
    github, _ = shop()
    keys = deployments(github, 10)
    earlier = github.repositories[REPO].deployments[keys[7]]["sha"]
    back = github.ship(REPO, earlier, "production", AT - 50 * HOUR)
    keys += [
        github.ship(REPO, github.commit(REPO, at), "production", at) for at in (AT - n * HOUR for n in range(45, 0, -1))
    ]
    poller = Poller(github)
    await poller.poll()

    assert [key for key in (*keys, back) if poller.change(key).result == "rolled_back"] == [back]


def deployments(github: GitHub, count: int) -> list[int]:
    """So many deployments, each with a commit of its own: a commit and half an hour later its deployment."""
    sha, keys = "", list[int]()
    for number in range(count):
        at = AT - 60 * HOUR + number * HOUR
        sha = github.commit(REPO, at, *([sha] if sha else []))
        keys.append(github.ship(REPO, sha, "production", at + 30 * MINUTE))
    return keys


async def test_a_history_of_deployments_that_breaks_off_goes_on_where_it_was() -> None:
    github, _ = shop()
    keys = deployments(github, 25)
    whole, broken = Poller(github, page_size=10), Poller(github, page_size=10)
    await whole.poll()
    await broken.poll(pages=3)
    done = broken.ids(Change)
    rest = await broken.poll()

    assert 0 < len(done) < len(keys)
    assert not {path.split("/")[-2] for path in rest if path.endswith("/statuses")} & done
    assert broken.records == whole.records


async def test_a_deployment_that_comes_while_the_list_is_read_moves_none_out_of_sight() -> None:
    github, _ = shop()
    keys = deployments(github, 25)
    poller = Poller(github, page_size=10)
    lists, late = 0, list[int]()

    def meanwhile(request: Any) -> bool:
        nonlocal lists
        lists += request.path.endswith("/deployments")
        if lists == 3 and not late:
            late.append(deployments(github, 1)[0])
        return False

    github.faults.about, github.faults.after = meanwhile, 500
    await poller.poll()
    seen = poller.ids(Change)
    await poller.poll(AT + MINUTE)

    assert seen == {str(key) for key in keys}
    assert poller.ids(Change) == {*seen, str(late[0])}


async def test_what_was_compared_with_the_wrong_one_is_compared_again() -> None:
    github, _ = shop()
    keys = deployments(github, 3)
    poller = Poller(github)
    github.faults.about = lambda request: f"/deployments/{keys[1]}/" in request.path
    github.faults.after = 500
    await poller.poll()
    wrong = poller.change(keys[2]).first_commit_at
    github.faults.after = None
    await poller.poll(AT + HOUR)

    assert wrong == AT - 59 * HOUR
    assert poller.change(keys[2]).first_commit_at == AT - 58 * HOUR


async def test_what_was_deleted_is_in_no_sweep_and_what_is_there_is_with_all_its_attempts() -> None:
    github, workflow = shop()
    runs = [github.execute(REPO, workflow, AT - day * DAY, 30, "failure") for day in range(1, 40, 6)]
    github.rerun(REPO, runs[2], AT - HOUR)
    keys = deployments(github, 3)
    poller = Poller(github, page_size=3)
    await poller.poll()
    del github.repositories[REPO].runs[runs[0]], github.repositories[REPO].deployments[keys[0]]
    await poller.poll(AT + DAY)

    assert poller.listed == {
        "run": {*map(str, runs[1:]), f"{runs[2]}/1"},
        "change": {*map(str, keys[1:])},
    }


async def test_a_run_that_went_on_and_is_deleted_is_gone_with_its_attempts() -> None:
    github, workflow = shop()
    run = [github.execute(REPO, workflow, AT - hour * HOUR, 30, "failure") for hour in (3, 2, 1)][-1]
    github.rerun(REPO, run, AT - MINUTE)
    poller = Poller(github)
    await poller.poll()
    before = poller.tries(run)
    del github.repositories[REPO].runs[run]
    github.execute(REPO, workflow, AT + MINUTE, 30)
    await poller.poll(AT + 2 * MINUTE)

    assert (len(before), poller.tries(run)) == (2, [])


async def test_one_repository_that_is_away_costs_only_itself() -> None:
    github, workflow = shop()
    run = github.execute(REPO, workflow, AT - HOUR, 30)
    github.add_repository("acme/renamed", SINCE)
    github.repositories["acme/renamed"].moved = True
    poller = Poller(github, repositories=("acme/gone", "acme/renamed", REPO))
    with pytest.raises(Partial, match=r"acme/gone.*404.*acme/renamed.*another name"):
        await poller.poll()
    first = poller.ids(Run)
    github.execute(REPO, workflow, AT + MINUTE, 30)
    with pytest.raises(Partial):
        await poller.poll(AT + 2 * MINUTE)

    assert first == {str(run)}
    assert len(poller.ids(Run)) == 2


async def test_what_is_run_again_late_is_found_also_while_another_repository_is_away() -> None:
    github, workflow = shop()
    run = github.execute(REPO, workflow, AT - HOUR, 30, "failure")
    poller = Poller(github, repositories=("acme/gone", REPO), page_size=10)
    for n in range(40):
        github.execute(REPO, workflow, AT - 50 * MINUTE + n * MINUTE, 30)
    with pytest.raises(Partial):
        await poller.poll()
    github.rerun(REPO, run, AT + 4 * DAY)
    github.end(REPO, run, AT + 4 * DAY + MINUTE)
    with pytest.raises(Partial):
        await poller.poll(AT + 5 * DAY)

    assert poller.tries(run) == [(f"{run}/1", "failed"), (str(run), "succeeded")]
    assert poller.listed == {}


async def test_a_pattern_is_looked_for_among_the_repositories_that_are_not_archived() -> None:
    github = GitHub()
    for name in ("acme/shop-web", "acme/shop-api", "acme/shop-old", "acme/docs", "other/shop-x"):
        github.add_repository(name, SINCE)
        github.execute(name, github.add_workflow(name, "CI", SINCE), AT - HOUR, 30)
    github.repositories["acme/shop-old"].about["archived"] = True
    poller = Poller(github, repositories=("acme/shop-*",))
    await poller.poll()

    runs = [each for each in poller.records.values() if isinstance(each, Run)]
    assert {run.workflow for run in runs} == {"acme/shop-web/CI", "acme/shop-api/CI"}


async def test_a_repository_that_is_archived_keeps_its_runs() -> None:
    github, names = GitHub(), ("acme/shop-web", "acme/shop-old")
    for name in names:
        github.add_repository(name, SINCE)
        github.execute(name, github.add_workflow(name, "CI", SINCE), AT - HOUR, 30)
    poller = Poller(github, repositories=("acme/shop-*",))
    await poller.poll()
    github.repositories["acme/shop-old"].about["archived"] = True
    await poller.poll(AT + 2 * DAY)

    assert poller.listed["run"] == poller.ids(Run)
    assert len(poller.ids(Run)) == 2


async def test_what_is_in_a_repository_out_of_sight_was_not_deleted() -> None:
    github = GitHub()
    for name in ("acme/shop-web", "acme/shop-old"):
        github.add_repository(name, SINCE)
        github.execute(name, github.add_workflow(name, "CI", SINCE), AT - HOUR, 30)
    poller = Poller(github, repositories=("acme/shop-*",))
    await poller.poll()
    hidden = github.repositories.pop("acme/shop-old")
    await poller.poll(AT + 2 * DAY)
    told, listed = poller.lacking, dict(poller.listed)
    github.repositories["acme/shop-old"] = hidden
    await poller.poll(AT + 4 * DAY)

    assert told == {"deletions": "acme/shop-old is out of sight; nothing counts as deleted meanwhile"}
    assert listed == {}
    assert poller.lacking == {}
    assert poller.listed["run"] == poller.ids(Run)


async def test_without_the_right_to_deployments_runs_are_read_and_the_lack_is_told() -> None:
    github, workflow = shop(permissions=frozenset({"metadata", "actions"}))
    github.execute(REPO, workflow, AT - HOUR, 30)
    deployments(github, 1)
    poller = Poller(github)
    await poller.poll()

    assert (len(poller.ids(Run)), poller.ids(Change)) == (1, set())
    assert "needs deployments=read" in poller.lacking["deployments"]


async def test_without_the_right_to_runs_the_credential_is_refused() -> None:
    github, _ = shop(permissions=frozenset({"metadata"}))
    with pytest.raises(AuthFailed, match="needs actions=read"):
        await Poller(github).poll()


async def test_a_new_workflow_is_called_by_its_name_from_its_first_run_on() -> None:
    github, _ = shop()
    poller = Poller(github)
    await poller.poll()
    run = github.execute(REPO, github.add_workflow(REPO, "Nightly build", AT, file="n.yml"), AT + MINUTE, 30)
    await poller.poll(AT + 2 * MINUTE)

    assert poller.run(run).workflow == "acme/shop/Nightly build"


async def checked(github: GitHub, **options: Any) -> list[tuple[str, str, bool]]:
    async with TestServer(github.app()) as server:
        http = HttpSettings(url=str(server.make_url("")).rstrip("/"), auth=Auth.bearer(github.token), attempts=1)
        async with Client(http, at=AT, since=SINCE, dialect=needs(connector).dialect) as client:
            found = await check(client, Options(**{"repositories": (REPO,), **options}))
    return [(each.what, each.text, each.wrong) for each in found]


@pytest.mark.parametrize("expires", ["2026-04-09 12:00:00 UTC", "2026-04-09 12:00:00 -0700"])
async def test_a_check_looks_at_each_resource_and_tells_until_when_the_token_holds(expires: str) -> None:
    github, workflow = shop(expires=expires, release="3.17.2")
    github.execute(REPO, workflow, AT - HOUR, 30)
    deployments(github, 1)

    assert await checked(github) == [
        ("rate limit", "5000 of 5000 requests an hour are left", False),
        ("token", "ends on 2026-04-09", True),
        ("version", "GitHub Enterprise Server 3.17.2", False),
        *((f"{REPO}, {what}", "the first page is read", False) for what in ("workflow runs", "workflows")),
        *((f"{REPO}, {what}", "the first page is read", False) for what in ("deployments", "commits")),
    ]


async def test_a_check_names_each_permission_that_is_missing() -> None:
    github, _ = shop(permissions=frozenset({"metadata"}))
    found = await checked(github, repositories=(REPO, "acme/gone", "nobody/*"))
    wrong = {what: text for what, text, wrong in found if wrong}

    assert {what.partition(", ")[2]: text.rpartition(" needs ")[2] for what, text in wrong.items() if ", " in what} == {
        "workflow runs": "Actions: read",
        "workflows": "Actions: read",
        "deployments": "Deployments: read",
        "commits": "Contents: read",
    }
    assert wrong["acme/gone"].endswith("It needs Metadata: read")
    assert wrong["nobody/*"] == "no repository is called so"


def published(path: str) -> Any:
    spec = SPECS / "github-actions-deployments-releases.trimmed.json"
    if not spec.exists():
        pytest.skip(f"{spec.name} is not beside the checkout")
    at = json.loads(spec.read_text())
    for part in path.split("|"):
        at = at[part]
    return at


UNPUBLISHED = {"/meta", "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/commits"}
"""Not among the paths of the copy."""


def test_the_fake_takes_the_parameters_that_are_published() -> None:
    paths, named = published("paths"), published("components|parameters")
    known = {
        path: {named[each["$ref"].rpartition("/")[2]]["name"] if "$ref" in each else each["name"] for each in its}
        for path in PARAMETERS.keys() - UNPUBLISHED
        for its in [paths[path]["get"].get("parameters", [])]
    }

    assert {path: PARAMETERS[path] - names for path, names in known.items() if PARAMETERS[path] - names} == {}


def test_the_fake_writes_items_as_they_are_published() -> None:
    github, workflow = shop()
    github.execute(REPO, workflow, AT - HOUR, 30)
    (key,) = deployments(github, 1)
    its = github.repositories[REPO]
    items = {
        "workflow-run": next(iter(its.runs.values()))[0],
        "workflow": its.workflows[workflow],
        "deployment": its.deployments[key],
        "deployment-status": its.statuses[key][0],
        "minimal-repository": its.about,
        "commit": next(iter(its.commits.values())),
    }
    for name, item in items.items():
        assert item.keys() - published(f"components|schemas|{name}|properties").keys() == set()


EVENT = st.tuples(
    st.sampled_from(
        ["start", "start", "success", "failure", "waiting", "in_progress", "rerun", "ship", "status", "poll", "poll"]
    ),
    st.integers(0, 30),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENT, max_size=30))
def test_whenever_it_is_polled_in_the_end_all_is_known(events: Sequence[tuple[str, int]]) -> None:
    asyncio.run(lived_through(events))


async def lived_through(events: Sequence[tuple[str, int]]) -> None:
    github, workflow = shop()
    at, poller = AT - DAY, Poller(github, page_size=3)
    sha = github.commit(REPO, at)
    for word, which in events:
        at += 9 * MINUTE
        if word == "poll":
            await poller.poll(at)
        elif word == "start":
            github.start(REPO, workflow, at)
        elif word == "ship":
            sha = github.commit(REPO, at, sha)
            github.ship(REPO, sha, ("production", "staging")[which % 2], at, *(["queued"] * (which % 3 == 0)))
        else:
            happen(github, word, which, at)
    await poller.poll(at + 2 * HOUR)
    fresh = Poller(github)
    await fresh.poll(at + 2 * HOUR)

    assert poller.records == fresh.records
    assert github.misread == []


def happen(github: GitHub, word: str, which: int, at: datetime) -> None:
    """A run or deployment that can moves on as the word says; nothing where none can."""
    its = github.repositories[REPO]
    if word == "status":
        if keys := [*its.deployments]:
            state = ("success", "failure", "error", "in_progress")[which % 4]
            github.status(REPO, keys[which % len(keys)], state, at)
        return
    ended = word == "rerun"
    able = [key for key, attempts in its.runs.items() if (attempts[-1]["status"] == "completed") == ended]
    if not able:
        return
    run = able[which % len(able)]
    if word == "rerun":
        github.rerun(REPO, run, at)
    elif word in ("success", "failure"):
        github.end(REPO, run, at, word)
    else:
        github.move(REPO, run, at, word)


async def test_deployments_whose_statuses_cannot_be_read_for_a_while_are_read_later() -> None:
    github, _ = shop()
    keys = deployments(github, 60)
    poller = Poller(github, page_size=20)
    github.faults.about, github.faults.after = lambda request: request.path.endswith("/statuses"), 500
    for minute in range(3):
        with pytest.raises(Unavailable, match="too many questions"):
            await poller.poll(AT + minute * HOUR)
    none = poller.ids(Change)
    github.faults.after = None
    for minute in range(3):
        await poller.poll(AT + DAY / 2 + minute * MINUTE)

    assert (none, poller.ids(Change)) == (set(), {str(key) for key in keys})
