"""The live credential of a source. It outlives polls, is shared by the sources of one account, and renews its token
before it expires and once more when it is refused.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from exporter.base.deferred import asyncio
from exporter.base.errors import RateLimited, Unavailable
from exporter.collect.auth import Ask, Auth, Grant, Token, token_of
from exporter.collect.token_file import Kept, TokenFile

PAUSE = timedelta(seconds=30)  # between two attempts to renew a token that still works
FRESH = timedelta(seconds=30)  # a token that was had so shortly before is not the reason for a refusal


class Credential:
    """What proves who asks, for as long as the process lives."""

    def __init__(self, auth: Auth | Grant) -> None:
        self._auth = auth
        self._token: Token | None = None
        self._unwritten: Kept | None = None  # got, but not yet in the file
        self._renewal: asyncio.Task[Token] | None = None
        self._not_before: datetime | None = None

    async def header(self, ask: Ask, now: datetime) -> Auth:
        """What to send now; a token that soon runs out is renewed before. Raises AuthFailed, Unavailable, ..."""
        if isinstance(self._auth, Auth):
            return self._auth
        token = self._token
        if token is None or token.over(now):
            token = await self._renewed(self._auth, ask, now)
        elif token.due(now) and not (self._not_before and now < self._not_before):
            try:
                token = await self._renewed(self._auth, ask, now)
            except (Unavailable, RateLimited):  # it still holds
                self._not_before = now + PAUSE
        return self._auth.header(token)

    async def another(self, sent: Auth, ask: Ask, now: datetime) -> Auth | None:
        """What to send after this was answered with 401; None where there is nothing else to send."""
        if isinstance(self._auth, Auth):
            return None
        token = self._token
        if token is None or self._auth.header(token) == sent:
            if token and now - token.begins_at < FRESH:
                return None  # else every refusal of one resource would cost a token
            token = await self._renewed(self._auth, ask, now)
        again = self._auth.header(token)
        return None if again == sent else again

    async def settle(self) -> None:
        """Waits for an exchange that is under way: a refresh token must not get lost in it."""
        if self._renewal:
            await asyncio.wait([self._renewal])

    async def _renewed(self, grant: Grant, ask: Ask, now: datetime) -> Token:
        """A new token, had once for all who wait for it. A poll that is broken off does not break off the exchange."""
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(grant, ask, now))
            self._renewal.add_done_callback(self._ended)
        return await asyncio.shield(self._renewal)

    def _ended(self, renewal: "asyncio.Task[Token]") -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # whoever waited has it; nobody may be left

    async def _renew(self, grant: Grant, ask: Ask, now: datetime) -> Token:
        file = grant.kept
        if file is None:
            self._token = await exchanged(grant, ask, now, Kept())
        else:
            async with file.locked():
                self._token = await self._exchanged_and_kept(grant, file, ask, now)
        self._not_before = None
        return self._token

    async def _exchanged_and_kept(self, grant: Grant, file: TokenFile, ask: Ask, now: datetime) -> Token:
        if self._unwritten:
            kept = self._unwritten
        else:
            there = await asyncio.to_thread(file.read)
            kept = there or Kept()
            found = stored(kept)
            if found and not found.due(now) and (self._token is None or found.value != self._token.value):
                return found  # another process, or this one before its restart, has renewed it
            # Written first: should it end before the answer is stored, it is known why the old one no longer works.
            await asyncio.to_thread(file.write, replace(kept, asking=True))
            token = await exchanged(grant, ask, now, kept)
            kept = Kept(token.refresh, token.value, token.begins_at, token.expires_at)
        self._unwritten = kept
        await asyncio.to_thread(file.write, kept)  # before it is used
        self._unwritten = None
        return stored(kept) or Token("", now)


def stored(file: Kept) -> Token | None:
    """The token as it was kept."""
    if not file.access or file.begins_at is None:
        return None
    return Token(file.access, file.begins_at, file.expires_at, file.refresh)


async def exchanged(grant: Grant, ask: Ask, now: datetime, before: Kept) -> Token:
    """A token for what the grant has to give."""
    # In a thread: signing takes its time, and so does loading what signs.
    request = await asyncio.to_thread(grant.question, now, before.refresh)
    return token_of(grant, await ask(request), before)
