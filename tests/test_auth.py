"""Credentials that run out: over HTTP, against a place for tokens and an API that refuse as real ones do."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from exporter.base.errors import AuthFailed, RateLimited, SourceError, Unavailable
from exporter.collect import paging
from exporter.collect.account import Accounts
from exporter.collect.auth import App, ClientCredentials, Grant, Login, RefreshToken, Scheme
from exporter.collect.http import Client, HttpSettings
from exporter.collect.token_file import Kept, TokenFile
from exporter.demo.fakes.prefect import Prefect
from tests.fakes.oauth import AT, PEM, Identity, items

SECRETS = re.compile(r"s3cret|pa55|first|refresh-|token-\d|PRIVATE KEY|eyJ")


@dataclass
class World:
    """An API, the place for its tokens on another host, and who polls it."""

    identity: Identity
    api: str
    tokens: str
    accounts: Accounts

    def client(self, grant: Grant, at: datetime | None = None, **settings: Any) -> Client:
        """Who asks during one poll."""
        http = HttpSettings(url=self.api, auth=grant, **{"retry_wait_seconds": 0.001, **settings})
        return Client(http, at=at or self.identity.at, since=AT, account=self.accounts.of(http.url, http.auth))

    async def read(self, grant: Grant, at: datetime | None = None, **settings: Any) -> list[Any]:
        """All items, in one poll."""
        async with self.client(grant, at, **settings) as client:
            pages = paging.by_token(client, "/items", items="items", next_in="next", next_as="page")
            return [item async for page in pages for item in page.items]

    def oauth(self, **more: Any) -> ClientCredentials:
        return ClientCredentials(
            **{"url": f"{self.tokens}/oauth/token", "client_id": "exporter", "secret": "s3cret/+", **more}
        )


@asynccontextmanager
async def world(before: Callable[[int], None] = lambda _: None, pages: int = 5, **more: Any) -> AsyncIterator[World]:
    identity = Identity(**more)
    async with TestServer(items(identity, pages, before)) as api, TestServer(identity.app()) as tokens:
        api_url, tokens_url = (str(server.make_url("")).rstrip("/") for server in (api, tokens))
        yield World(identity, api_url, tokens_url, Accounts())


async def test_a_token_is_had_once_and_outlives_the_poll() -> None:
    async with world() as there:
        grant = there.oauth(parameters=(("scope", "read"),))
        read = [await there.read(grant), await there.read(grant)]

        assert read == [[0, 1, 2, 3, 4]] * 2
        assert there.identity.refused == 0
        assert there.identity.asked == [
            {"grant_type": "client_credentials", "client_id": "exporter", "client_secret": "s3cret/+", "scope": "read"}
        ]


async def test_a_token_is_renewed_before_it_runs_out() -> None:
    async with world() as there:
        for minutes in (0, 28, 29.5, 31):
            there.identity.at = AT + timedelta(minutes=minutes)
            await there.read(there.oauth())

        assert len(there.identity.asked) == 2
        assert there.identity.refused == 0


async def test_a_token_that_ends_in_the_middle_of_a_sync_is_renewed_once_and_nothing_is_lost() -> None:
    def revoke(page: int) -> None:
        if page == 3 and there.identity.refused == 0:
            there.identity.revoke()

    async with world(revoke) as there:
        async with there.client(there.oauth()) as client:
            await client.get("/items")
        there.identity.at += timedelta(minutes=5)
        read = await there.read(there.oauth())

        assert read == [0, 1, 2, 3, 4]
        assert (len(there.identity.asked), there.identity.refused) == (2, 1)


async def test_a_token_that_says_not_how_long_it_holds_is_renewed_when_it_is_refused() -> None:
    async with world(life=None) as there:
        await there.read(there.oauth())
        there.identity.at += timedelta(days=2)
        read = await there.read(there.oauth())

        assert read == [0, 1, 2, 3, 4]
        assert (len(there.identity.asked), there.identity.refused) == (2, 1)


async def test_a_new_token_that_is_refused_too_is_a_refused_credential() -> None:
    async with world() as there:
        await there.read(there.oauth())
        there.identity.at += timedelta(minutes=5)
        there.identity.sees_nobody = True
        with pytest.raises(AuthFailed, match="HTTP 401: the credential is refused"):
            await there.read(there.oauth())

        assert (len(there.identity.asked), there.identity.refused) == (2, 2)


async def test_a_resource_that_is_always_refused_does_not_cost_a_token_each_time() -> None:
    async with world() as there, there.client(there.oauth()) as client:
        there.identity.sees_nobody = True
        for _ in range(5):
            with pytest.raises(AuthFailed):
                await client.get("/items")

        assert (len(there.identity.asked), there.identity.refused) == (1, 5)


async def test_many_questions_at_once_renew_a_token_once() -> None:
    async with world() as there:
        await there.read(there.oauth())
        there.identity.at += timedelta(minutes=5)
        there.identity.revoke()
        async with there.client(there.oauth(), concurrency=8) as client:
            await client.gather(range(8), lambda page: client.get("/items", {"page": page}))

        assert len(there.identity.asked) == 2


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("way", ["header", "key"])
async def test_a_client_proves_who_it_is_as_the_platform_wants_it(way: str, status: int) -> None:
    async with world(basic=way == "header", status=status) as there:
        shown: dict[str, Any] = (
            {"scheme": Scheme(client_in="header")} if way == "header" else {"secret": "", "key": PEM}
        )

        assert await there.read(there.oauth(**shown)) == [0, 1, 2, 3, 4]


async def test_a_log_in_gives_a_token_that_tells_itself_how_long_it_holds() -> None:
    async with world() as there:
        grant = Login(url=f"{there.tokens}/login", username="robot", password="pa55")
        for minutes in (0, 28, 29.5):
            there.identity.at = AT + timedelta(minutes=minutes)
            await there.read(grant)

        assert there.identity.asked == [{"username": "robot", "password": "pa55"}] * 2
        assert there.identity.refused == 0


async def test_an_app_signs_who_it_is_and_gets_a_token_of_its_installation() -> None:
    async with world(life=3600) as there:
        grant = App(url=f"{there.tokens}/app/installations/99/access_tokens", app_id="4711", key=PEM)
        for minutes in (0, 50, 59.5):
            there.identity.at = AT + timedelta(minutes=minutes)
            await there.read(grant)

        assert [said["iss"] for said in there.identity.asked] == ["4711"] * 2
        assert there.identity.refused == 0


def refreshing(there: World, folder: Path, first: str = "first") -> RefreshToken:
    return RefreshToken(
        url=f"{there.tokens}/oauth/token",
        client_id="exporter",
        secret="s3cret/+",
        first=first,
        named="secrets/refresh",
        file=folder / "outcome.duckdb.token-1",
    )


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_refresh_tokens_that_rotate_are_kept_for_the_next_start(tmp_path: Path) -> None:
    async with world() as there:
        grant = refreshing(there, tmp_path)
        for hours in (0, 1, 2):
            there.identity.at = AT + timedelta(hours=hours)
            await there.read(grant)
            there.accounts = Accounts()  # as after a restart

        assert [said["refresh_token"] for said in there.identity.asked] == ["first", "refresh-1", "refresh-2"]
        assert modes(tmp_path) == {grant.file.name: 0o600, f"{grant.file.name}.lock": 0o600}


async def test_an_access_token_that_still_holds_is_used_after_a_restart(tmp_path: Path) -> None:
    async with world() as there:
        await there.read(refreshing(there, tmp_path))
        there.accounts = Accounts()
        await there.read(refreshing(there, tmp_path))

        assert len(there.identity.asked) == 1


async def test_a_stored_access_token_that_is_refused_is_renewed(tmp_path: Path) -> None:
    async with world() as there:
        await there.read(refreshing(there, tmp_path))
        there.accounts = Accounts()
        there.identity.at += timedelta(minutes=5)
        there.identity.revoke()

        assert await there.read(refreshing(there, tmp_path)) == [0, 1, 2, 3, 4]
        assert [said["refresh_token"] for said in there.identity.asked] == ["first", "refresh-1"]


async def test_a_refresh_token_that_does_not_rotate_goes_on_being_used(tmp_path: Path) -> None:
    async with world(rotates=False) as there:
        for hours in (0, 1):
            there.identity.at = AT + timedelta(hours=hours)
            await there.read(refreshing(there, tmp_path))

        assert [said["refresh_token"] for said in there.identity.asked] == ["first", "first"]


async def test_two_processes_with_one_refresh_token_do_not_take_it_from_each_other(tmp_path: Path) -> None:
    async with world() as there:
        other = replace(there, accounts=Accounts())
        read = await asyncio.gather(*(each.read(refreshing(there, tmp_path)) for each in (there, other)))
        there.identity.at += timedelta(hours=1)
        read += await asyncio.gather(*(each.read(refreshing(there, tmp_path)) for each in (there, other)))

        assert read == [[0, 1, 2, 3, 4]] * 4
        assert [said["refresh_token"] for said in there.identity.asked] == ["first", "refresh-1"]


async def test_a_poll_that_is_broken_off_does_not_lose_the_token_it_was_waiting_for(tmp_path: Path) -> None:
    async with world() as there:
        poll = asyncio.create_task(there.read(refreshing(there, tmp_path)))
        there.identity.meanwhile = lambda: (poll.cancel(), None)[1]
        with pytest.raises(asyncio.CancelledError):
            await poll
        there.identity.meanwhile = lambda: None
        await there.accounts.settle()

        kept = TokenFile(refreshing(there, tmp_path).file).read()
        assert kept == replace(kept or Kept(), refresh="refresh-1", asking=False)
        assert await there.read(refreshing(there, tmp_path)) == [0, 1, 2, 3, 4]


async def test_a_refresh_token_is_not_used_where_the_next_one_could_not_be_kept(tmp_path: Path) -> None:
    async with world() as there:
        grant = refreshing(there, tmp_path)
        grant.file.mkdir()  # something else has its place
        (grant.file / "x").touch()
        with pytest.raises(SourceError, match=re.escape(f"{grant.file} cannot be read")):
            await there.read(grant)

        assert there.identity.asked == []


async def test_a_refresh_token_is_not_used_where_there_is_no_place_to_keep_the_next_one(tmp_path: Path) -> None:
    async with world() as there:
        grant = refreshing(there, tmp_path / "nowhere")
        with pytest.raises(Unavailable, match=re.escape(f"{grant.file}.lock cannot be written: No such file")):
            await there.read(grant)

        assert there.identity.asked == []


async def test_a_spoilt_token_file_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    async with world() as there:
        grant = refreshing(there, tmp_path)
        grant.file.write_text('{"refresh": "cut')
        with pytest.raises(AuthFailed, match="delete it and authorize the client again"):
            await there.read(grant)


async def test_a_new_authorization_in_the_config_is_used_at_once(tmp_path: Path) -> None:
    async with world() as there:
        await there.read(refreshing(there, tmp_path))
        there.identity.refresh = "anew"  # as somebody authorizes again
        there.identity.revoke()
        grant = replace(refreshing(there, tmp_path, "anew"), file=tmp_path / "outcome.duckdb.token-2")

        assert await there.read(grant) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("trouble", "error", "says"),
    [
        ((401, {"error": "invalid_client"}), AuthFailed, "check client_id and its secret"),
        ((400, {"error": "invalid_scope"}), AuthFailed, "check scope"),
        ((400, {"error": "invalid_grant"}), AuthFailed, "is not accepted, or no longer; check the credentials"),
        ((400, {"error": "unauthorized_client"}), AuthFailed, "may not get tokens in this way"),
        ((400, {"error": "unsupported_grant_type"}), AuthFailed, "check method and token_url"),
        ((400, {"error": "s3cret/+"}), AuthFailed, "are the credentials and token_url right"),
        ((404, {}), AuthFailed, "is token_url right"),
        ((200, {"error": "bad_verification_code"}), AuthFailed, "are the credentials and token_url right"),
        ((200, {"welcome": 1}), SourceError, "is this the address for tokens"),
        ((302, {}), AuthFailed, "redirected, for example to a log-in page"),
        ((503, {}), Unavailable, "HTTP 503"),
        ((429, {}), RateLimited, "too many requests"),
    ],
)
async def test_what_is_wrong_with_a_token_is_said_where_and_what_would_be_right(
    trouble: tuple[int, Any], error: type[SourceError], says: str
) -> None:
    async with world(trouble=trouble) as there:
        with pytest.raises(error, match=re.escape(says)) as raised:
            await there.read(there.oauth(), attempts=1)

        assert str(raised.value).startswith(f"POST 127.0.0.1/oauth/token: HTTP {trouble[0]}")
        assert SECRETS.search(f"{raised.value!r} {there.oauth()!r} {there.client(there.oauth())!r}") is None


async def test_a_token_that_still_holds_is_used_while_no_new_one_can_be_had() -> None:
    async with world() as there:
        await there.read(there.oauth())
        there.identity.at += timedelta(minutes=29, seconds=30)
        there.identity.trouble = (503, {})
        read = await there.read(there.oauth(), attempts=1)

        assert read == [0, 1, 2, 3, 4]
        assert len(there.identity.asked) == 2  # not before every question
        assert there.identity.refused == 0


async def test_a_place_for_tokens_that_does_not_answer_is_unavailable_and_not_a_refusal(unused_tcp_port: int) -> None:
    async with world() as there:
        grant = there.oauth(url=f"http://127.0.0.1:{unused_tcp_port}/oauth/token")
        with pytest.raises(Unavailable, match=re.escape("POST 127.0.0.1/oauth/token: cannot connect")):
            await there.read(grant, attempts=1)


# The program itself, ended at the worst moments


@dataclass
class Killed:
    """The program on a config whose refresh tokens rotate, and what its platform does to it."""

    identity: Identity
    folder: Path
    process: asyncio.subprocess.Process | None = None

    def kill(self) -> None:
        """At once, with SIGKILL; the first time only."""
        process, self.process = self.process, None
        if process:
            process.kill()

    async def once(self) -> tuple[int, str]:
        """`once` to its end, however it ends: status and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "exporter", "once", "--config.file", "outcome.yaml", cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.process = process if self.process is None and not self.identity.asked else None
        _, said = await process.communicate()
        return process.returncode or 0, said.decode()


@asynccontextmanager
async def killed(folder: Path, **more: Any) -> AsyncIterator[Killed]:
    there = Killed(Identity(at=datetime.now(UTC), **more), folder)
    prefect = Prefect()
    prefect.add_deployment("etl", "nightly", AT)
    app = prefect.app()
    app.middlewares.insert(0, there.identity.guard)
    async with TestServer(app) as api, TestServer(there.identity.app()) as tokens:
        (folder / "secret").write_text("s3cret/+")
        (folder / "refresh").write_text("first")
        (folder / "outcome.yaml").write_text(
            f"sources:\n  - name: flows\n    type: prefect\n    url: {api.make_url('/api')}\n    auth:\n"
            f"      method: refresh_token\n      token_url: {tokens.make_url('/oauth/token')}\n"
            "      client_id: exporter\n      client_secret_file: secret\n      refresh_token_file: refresh\n"
        )
        yield there


async def test_after_a_kill_between_use_and_storing_a_forgiving_platform_is_asked_as_before(tmp_path: Path) -> None:
    async with killed(tmp_path, forgiving=True) as there:
        there.identity.meanwhile = there.kill
        died, _ = await there.once()
        status, said = await there.once()

        assert (died, status, said) == (-signal.SIGKILL, 0, said)
        assert [form["refresh_token"] for form in there.identity.asked] == ["first", "first"]


async def test_after_a_kill_between_use_and_storing_a_strict_platform_s_user_is_told_what_to_do(tmp_path: Path) -> None:
    async with killed(tmp_path) as there:
        there.identity.meanwhile = there.kill
        died, _ = await there.once()
        status, said = await there.once()
        there.identity.refresh = "anew"  # as somebody authorizes again
        await asyncio.to_thread((tmp_path / "refresh").write_text, "anew")
        healed, _ = await there.once()

        assert (died, status, healed) == (-signal.SIGKILL, 1, 0)
        assert (
            "source flows: POST 127.0.0.1/oauth/token: HTTP 400, invalid_grant: the exporter was killed while" in said
        )
        assert f"authorize the client again, write the new refresh token to {tmp_path / 'refresh'} and reload" in said
        assert SECRETS.search(said.replace("refresh_token", "")) is None


async def test_after_a_kill_between_storing_and_use_the_stored_token_is_used(tmp_path: Path) -> None:
    async with killed(tmp_path) as there:
        there.identity.arrived = there.kill
        died, _ = await there.once()
        status, said = await there.once()

        assert (died, status, said) == (-signal.SIGKILL, 0, said)
        assert [form["refresh_token"] for form in there.identity.asked] == ["first"]
