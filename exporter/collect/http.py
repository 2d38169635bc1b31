"""HTTP out: authentication, retries, rate limit, paging.

A `Client` is made for one poll of one source. Nothing it says (errors, repr) holds a secret, a query or an answer.
"""

import asyncio
import base64
import os
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Protocol, Self, TypeVar

import aiohttp
import msgspec
import stamina
import stamina.instrumentation
from aiolimiter import AsyncLimiter

from exporter.base import errors
from exporter.base.errors import (
    AuthFailed,
    Forbidden,
    Gone,
    NotUnderstood,
    Partial,
    RateLimited,
    SourceError,
    TooLarge,
    Unavailable,
)
from exporter.collect.decode import decoded_in_parts
from exporter.records import VITAL_COLUMNS, Json, Read, Record, times_of
from exporter.records.columns import COLUMNS
from exporter.records.unreadable import Fault, LeftOut, Unreadable, attempt, key_of, place_of

__all__ = [
    "AuthFailed",
    "Gone",
    "NotUnderstood",
    "Partial",
    "RateLimited",
    "SourceError",
    "TooLarge",
    "Unavailable",
]  # for connectors

T = TypeVar("T")
R = TypeVar("R")
Query = Mapping[str, str | int]
Body = Mapping[str, Json]

FAILURES_KEPT = 5
UNSTATED_WAIT_SECONDS = 60.0  # how long to keep away after 429s that name no time
Result = Record | Read | Iterable[Record | Read] | None
"""What a mapping makes of one item."""

# stamina would log each retry, arguments included, and count it in the global Prometheus registry.
stamina.instrumentation.set_on_retry_hooks([])


@dataclass(frozen=True, slots=True)
class Auth:
    """One request header that proves who asks; made by the functions below, absent by default."""

    header: str = ""
    value: str = field(default="", repr=False)

    @staticmethod
    def bearer(token: str) -> "Auth":
        return Auth("Authorization", f"Bearer {token}")

    @staticmethod
    def basic(user: str, password: str) -> "Auth":
        return Auth("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

    @staticmethod
    def token(token: str) -> "Auth":
        """Request Tracker's form."""
        return Auth("Authorization", f"token {token}")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """How to reach one source."""

    url: str = field(repr=False)  # may hold a user and password
    auth: Auth = Auth()
    timeout_seconds: float = 30
    rate: float | None = None  # requests per second
    concurrency: int = 4
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    max_response_bytes: int = 64 * 1024 * 1024
    most_items: int = 100_000  # of one page: more than any platform gives
    most_pages: int = 100_000  # of one list
    attempts: int = 4
    retry_wait_seconds: float = 0.5  # before the first retry; doubles, with jitter


class Observer(Protocol):
    """Who counts what the client meets."""

    def request(self, code: str) -> None: ...
    def rate_limited(self) -> None: ...
    def detail_failed(self) -> None: ...


class Client:
    """Asks one source during one poll. `at` is when the poll began, `since` the oldest instant a first sync wants."""

    def __init__(
        self,
        settings: HttpSettings,
        *,
        http: aiohttp.ClientSession | None = None,
        at: datetime,
        since: datetime,
        observe: Observer | None = None,
        mapped: Collection[str] = (),
    ) -> None:
        self.at, self.since = at, since
        self.skipped: Counter[str] = Counter()  # items left out, by the reason of their first fault
        self._left_out: list[LeftOut] = []
        self._mapped = mapped  # columns that the config fills: what the platform says there may be unreadable
        self.clock_offset_seconds: float | None = None  # the platform's clock minus ours, as far as it tells
        self.failed_details: list[str] = []  # questions about single items that had no answer, why; the first few
        # What lets a question pass that is forbidden at first: headers, fetched by the connector. None: nothing does.
        self.permit: Callable[[], Awaitable[Mapping[str, str]]] | None = None
        self._headers: dict[str, str] = {}
        self._settings = settings
        self._observe = observe
        self._http, self._lent = http, http is not None
        self._began = asyncio.get_running_loop().time()
        self._places = asyncio.Semaphore(settings.concurrency)
        # One request each 1/rate seconds, without the burst that a bucket of a whole second would allow.
        self._pace = AsyncLimiter(1, 1 / settings.rate) if settings.rate else nullcontext()
        self._tls = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, unless they were lent."""
        if self._http and not self._lent:
            await self._http.close()
            self._http = None

    @property
    def url(self) -> str:
        """The configured address without a trailing slash and without user and password, for deep links."""
        scheme, separator, rest = self._settings.url.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"

    async def get(self, path: str, params: Query | None = None) -> Json:
        """The decoded answer to GET."""
        return await self._answer(path, params, None)

    async def post(self, path: str, json: Body) -> Json:
        """The decoded answer to a POST that only reads; it may be sent more than once."""
        return await self._answer(path, None, json)

    async def pages(
        self,
        path: str,
        params: Query | None = None,
        *,
        json: Body | None = None,
        items: str,
        next_in: str,
        next_as: str,
    ) -> AsyncIterator[list[Json]]:
        """Lists linked by a token: `next_in` names it in the answer, `next_as` in the next question (POST: `json`)."""
        seen, place = set[str](), dict[str, Json]()
        while True:
            answer = await self._answer(path, *placed(params, json, place))
            yield self._listed(path, answer, items, len(seen))
            following = answer.get(next_in) if isinstance(answer, dict) else None
            if not following:
                return
            if str(following) in seen:
                raise NotUnderstood(f"{path}: the page token repeats; the list would never end")
            seen.add(str(following))
            place = {next_as: following}

    async def offset_pages(
        self, path: str, params: Query | None = None, *, json: Body | None = None, items: str | None = None, limit: int
    ) -> AsyncIterator[list[Json]]:
        """Lists by offset, until one is shorter than `limit`; `items` is None where the answer is the list itself."""
        offset, before = 0, None
        for number in count():
            place = {"limit": limit, "offset": offset}
            page = self._listed(path, await self._answer(path, *placed(params, json, place)), items, number)
            if page and page == before:
                raise NotUnderstood(f"{path}: the page repeats; the list would never end")
            before = page
            yield page
            if len(page) < limit:
                return
            offset += len(page)

    def _listed(self, path: str, answer: Json, key: str | None, number: int) -> list[Json]:
        """The items of a page, of which there were so many before."""
        page = listed(path, answer, key)
        if len(page) > self._settings.most_items:
            raise NotUnderstood(
                f"{path}: a page of {len(page):,} items; at most {self._settings.most_items:,} are read"
            )
        if number >= self._settings.most_pages:
            raise NotUnderstood(f"{path}: more than {self._settings.most_pages:,} pages; the list would never end")
        return page

    async def mapped(self, items: Sequence[T], function: Callable[[T], Result]) -> list[Read]:
        """The same as `each`, in a thread: a large page must not hold up everything else."""
        return await asyncio.to_thread(self.each, items, function)

    def each(
        self,
        items: Iterable[T],
        function: Callable[[T], Result],
        place: Callable[[T], str] | None = None,
        scope: str = "",
    ) -> list[Read]:
        """The records of the items that can be read; the others are left out and told of, and never stop a poll.

        `function` reads each value with `unreadable.value`. `place` says where an item stands, such as "line 2";
        `scope` is the part of the source that may be read anew as a whole (see `Page.anew`).
        """
        reads: list[Read] = []
        for item in items:
            found, faults, broken = attempt(lambda item: listed_results(function(item), item), item)
            where = place(item) if place else ""
            if broken or (faults and self._costs_the_record(found or [], faults)):
                self.skipped[faults[-1 if broken else 0].reason] += 1
                kind = type(found[0].record) if found else None
                place_ = where or place_of(item)
                key = found[0].key if found and found[0].record.id else where or key_of(item)
                given = found[0].item if found else item
                left_out = LeftOut(key, place_, faults, scope=scope, item=given, kind=kind)
                if found:
                    team, times = found[0].record.team, times_of(found[0].record)
                    left_out = replace(left_out, team=team if isinstance(team, str) else None, times=times)
                self._left_out.append(left_out)
            elif where or faults:
                reads += [
                    replace(each, place=where or place_of(item), faults=faults, scope=scope) for each in found or ()
                ]
            else:
                reads += found or ()
        return reads

    def _costs_the_record(self, found: Iterable[Read], faults: Iterable[Fault]) -> bool:
        vital = {column for each in found for column in VITAL_COLUMNS[type(each.record)]}.difference(self._mapped)
        return any(fault.column in vital for fault in faults)

    def learnt(self, column: str, function: Callable[[T], R], item: T) -> R | None:
        """What `function` makes of something asked beside items, such as a name; None, and told of, where it cannot."""
        result, faults, broken = attempt(function, item)
        if faults:
            named = tuple(replace(each, column=column) for each in faults) if broken else faults
            self._left_out.append(LeftOut(f"{column} {key_of(item)}", place_of(item), named, whole=False))
        return result

    def leave_out(self, what: LeftOut) -> None:
        """Tells of something that is left out and is no item, such as a file."""
        self.skipped[what.faults[0].reason] += 1
        self._left_out.append(what)

    def left_out(self) -> list[LeftOut]:
        """What has been left out since this was last asked."""
        told, self._left_out = self._left_out, []
        return told

    async def gather(self, items: Sequence[T], function: Callable[[T], Awaitable[R]]) -> list[R]:
        """`function` of every item, in order, several at a time. The first error stops the rest."""
        tasks = [asyncio.ensure_future(function(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def detail_failed(self, text: str) -> None:
        """Counts a question about one item that had no answer; `text` says which and why."""
        if len(self.failed_details) < FAILURES_KEPT:
            self.failed_details.append(text)
        if self._observe:
            self._observe.detail_failed()

    async def _answer(self, path: str, params: Query | None, json: Body | None) -> Json:
        try:
            return await self._decoded(path, params, json)
        except Forbidden:
            if self.permit is None:
                raise
            fetch, self.permit = self.permit, None  # not again while it is being fetched
            try:
                self._headers |= await fetch()
            finally:
                self.permit = fetch
            return await self._decoded(path, params, json)

    async def _decoded(self, path: str, params: Query | None, json: Body | None) -> Json:
        where = f"{'GET' if json is None else 'POST'} {path.partition('?')[0]}"
        attempts, wait = self._settings.attempts, self._settings.retry_wait_seconds
        # In order: on, attempts, timeout, wait_initial, wait_max, wait_jitter.
        retries = stamina.retry_context(errors.worth_retrying, attempts, None, wait, 20 * wait, wait)
        async for once in retries:
            with once:
                body = await self._body(where, path, params, json)
        try:
            # In a thread: a large answer takes long, and everything else would wait for it.
            return await asyncio.to_thread(decoded_in_parts, body)
        except (ValueError, RecursionError):  # without the cause: it may quote the answer
            raise NotUnderstood(f"{where}: the answer is not JSON; is this the address of the API?") from None

    async def _body(self, where: str, path: str, params: Query | None, json: Body | None) -> bytes:
        """One request: the body of a 200, or the error it deserves."""
        settings = self._settings
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if json is not None else {})
        headers |= self._headers
        if settings.auth.header:
            headers[settings.auth.header] = settings.auth.value
        self._http = self._http or aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        async with self._places, self._pace:
            try:
                async with self._http.request(
                    "GET" if json is None else "POST",
                    settings.url.rstrip("/") + path,
                    params=params,
                    data=None if json is None else msgspec.json.encode(json),
                    headers=headers,
                    allow_redirects=False,
                    proxy=settings.proxy,
                    ssl=self._tls,
                    timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
                ) as response:
                    self._judge(response, where)
                    return await read(response, where, settings.max_response_bytes)
            except TimeoutError:
                self._count("timeout")
                raise Unavailable(f"{where}: no answer within {settings.timeout_seconds:g} s") from None
            except (aiohttp.ClientError, OSError) as error:
                self._count("error")
                raise Unavailable(f"{where}: {fault(error)}") from None

    def _count(self, code: str) -> None:
        if self._observe:
            self._observe.request(code)

    def _judge(self, response: aiohttp.ClientResponse, where: str) -> None:
        """Counts the answer, and raises unless it is a 200."""
        status = response.status
        self._count(str(status))
        # No clock is read here: the time of day is when the poll began plus the time it has taken.
        now = self.at + timedelta(seconds=asyncio.get_running_loop().time() - self._began)
        with suppress(KeyError, ValueError, TypeError):  # no date, or none that can be read
            self.clock_offset_seconds = (parsedate_to_datetime(response.headers["Date"]) - now).total_seconds()
        if status == 200:
            return
        delay, text = errors.retry_after(response.headers, now), f"{where}: HTTP {status}"
        if status == 429:
            if self._observe:
                self._observe.rate_limited()
            until = now + timedelta(seconds=UNSTATED_WAIT_SECONDS if delay is None else delay)
            raise RateLimited(f"{text}: asked too often; poll less often or set a rate", until, delay)
        raise errors.refusal(status, text, delay)


def listed_results(result: Result, item: Json) -> list[Read]:
    """What a mapping has made of an item, as a list."""
    made = () if result is None else (result,) if isinstance(result, Record | Read) else result
    return [identified(each if isinstance(each, Read) else Read(each, item)) for each in made]


def identified(read: Read) -> Read:
    """The same, its id as text. Connectors look things up by the ids of records, so one that is none ends here."""
    record = read.record
    if isinstance(record.id, str):
        return read
    column = COLUMNS[type(record)]["id"]
    try:
        return replace(read, record=replace(record, id=column.read(record.id)))
    except Unreadable as error:
        raise Unreadable(error.reason, str(error), "id") from None


def placed(params: Query | None, json: Body | None, place: Body) -> tuple[Query | None, Body | None]:
    """Where in a list to go on is said where the rest of the question is."""
    return ({**(params or {}), **place}, None) if json is None else (params, {**json, **place})


async def read(response: aiohttp.ClientResponse, where: str, largest: int) -> bytes:
    """The body, given up on as soon as it is too large (sizes are after decompression)."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > largest:
            response.close()
            raise TooLarge(f"{where}: the answer is larger than {largest} bytes; use smaller pages")
    return bytes(body)


def listed(path: str, answer: Json, key: str | None) -> list[Json]:
    """The items of an answer: the answer itself, or what it holds under `key`."""
    page = answer if key is None else answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(page, list):
        raise NotUnderstood(f"{path}: the answer holds no list; is this the address of the API?")
    return page


def fault(error: Exception) -> str:
    """What went wrong with a connection, in words without addresses."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted; name its authority in ca_file"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot connect: the host's name is not known; is the url right?"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "cannot connect by TLS; is the url right, and is it https there?"
    cause = getattr(error, "os_error", error)  # its text may hold the address; its number does not
    number = cause.errno if isinstance(cause, OSError) else None
    what = "cannot connect" if isinstance(error, aiohttp.ClientConnectorError) else type(error).__name__
    return f"{what}: {os.strerror(number)}" if number and number > 0 else what
