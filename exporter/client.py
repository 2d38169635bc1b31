"""HTTP out: authentication, retries, rate limit, paging, and errors named by what the poller does about them.

A `Client` is made for one poll of one source. Nothing it says (errors, repr) holds a secret, a query or an answer.
"""

import asyncio
import base64
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Protocol, Self, TypeVar

import aiohttp
import msgspec
import stamina
import stamina.instrumentation
from aiolimiter import AsyncLimiter

from exporter.records import Json, Read, Record

T = TypeVar("T")
R = TypeVar("R")

LONGEST_WAIT_SECONDS = 30.0
"""A longer Retry-After is not sat out inside a poll: the poller is told until when to wait."""

UNSTATED_WAIT_SECONDS = 60.0
"""How long to keep away after 429s that name no time."""

# stamina would log each retry, arguments included, and count it in the global Prometheus registry.
stamina.instrumentation.set_on_retry_hooks([])


class SourceError(Exception):
    """A poll cannot go on. `reason` is a label value."""

    reason = "unknown"


class AuthFailed(SourceError):  # noqa: N818 - named by what the poller does
    """The credential is missing, wrong, expired or allows too little: stop and alert."""

    reason = "auth"


class RateLimited(SourceError):  # noqa: N818 - named by what the poller does
    """Asked too often: wait. `until` is None only inside this module."""

    reason = "rate_limited"

    def __init__(self, text: str, until: datetime, delay: float | None = None) -> None:
        super().__init__(text)
        self.until = until
        self.delay = delay


class Unavailable(SourceError):  # noqa: N818 - named by what the poller does
    """Not there for now: back off."""

    reason = "unavailable"

    def __init__(self, text: str, delay: float | None = None) -> None:
        super().__init__(text)
        self.delay = delay


class NotUnderstood(SourceError):  # noqa: N818 - named by what the poller does
    """An answer that makes no sense to us, or a question that made none to the platform: keep old data and alert."""

    reason = "not_understood"

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Gone(SourceError):  # noqa: N818 - named by what the poller does
    """One item is deleted: go on. From a list it means that the address is wrong."""

    reason = "gone"


@dataclass(frozen=True, slots=True)
class Auth:
    """One request header that proves who asks; made by the functions below."""

    header: str = ""
    value: str = field(default="", repr=False)

    @staticmethod
    def bearer(token: str) -> "Auth":
        return Auth("Authorization", f"Bearer {token}")

    @staticmethod
    def named(header: str, value: str) -> "Auth":
        return Auth(header, value)

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
    attempts: int = 4
    retry_wait_seconds: float = 0.5  # before the first retry; doubles, with jitter


class Observer(Protocol):
    """Who counts what the client meets; health.py does."""

    def request(self, code: str) -> None: ...
    def rate_limited(self) -> None: ...
    def skipped(self, reason: str) -> None: ...


SKIP_REASONS = {
    KeyError: "missing_or_unknown",
    ValueError: "bad_value",
    TypeError: "bad_shape",
    AttributeError: "bad_shape",
}
"""Why an item was left out. Never the text of the error: it may quote the item."""


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
    ) -> None:
        self.at = at
        self.since = since
        self.skipped: Counter[str] = Counter()
        self._settings = settings
        self._base = settings.url.rstrip("/")
        self._observe = observe
        self._http = http
        self._owns_http = http is None
        self._began: float | None = None
        self._places = asyncio.Semaphore(settings.concurrency)
        self._pace = AsyncLimiter(max(settings.rate, 1), max(1 / settings.rate, 1)) if settings.rate else nullcontext()
        self._tls = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True

    def __repr__(self) -> str:
        return f"Client(at={self.at.isoformat()})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, unless they were lent."""
        if self._owns_http and self._http:
            await self._http.close()
            self._http = None

    @property
    def url(self) -> str:
        """The configured address without a trailing slash and without user and password, for deep links."""
        scheme, separator, rest = self._base.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        """The decoded answer to GET."""
        return await self._asked("GET", path, params, None)

    async def post(self, path: str, json: Json) -> Json:
        """The decoded answer to a POST that only reads; it may be sent more than once."""
        return await self._asked("POST", path, None, json)

    async def pages(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        json: Mapping[str, Json] | None = None,
        items: str | None = "data",
        next_in: str,
        next_as: str,
    ) -> AsyncIterator[list[Json]]:
        """Lists linked by a token: `next_in` names it in the answer, `next_as` in the next question."""
        seen: set[str] = set()
        token: dict[str, Json] = {}
        while True:
            answer = await self._list_answer(path, params, json, token)
            yield listed(path, answer, items)
            following = answer.get(next_in) if isinstance(answer, dict) else None
            if not following:
                return
            if str(following) in seen:
                raise NotUnderstood(f"{path}: the page token repeats; the list would never end")
            seen.add(str(following))
            token = {next_as: following}

    async def offset_pages(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        json: Mapping[str, Json] | None = None,
        items: str | None = None,
        limit: int,
        limit_as: str = "limit",
        offset_as: str = "offset",
    ) -> AsyncIterator[list[Json]]:
        """Lists by offset, until one is shorter than `limit`."""
        offset = 0
        while True:
            answer = await self._list_answer(path, params, json, {limit_as: limit, offset_as: offset})
            page = listed(path, answer, items)
            yield page
            if len(page) < limit:
                return
            offset += len(page)

    def each(self, items: Iterable[Json], function: Callable[[Json], Record | Read | None]) -> list[Read]:
        """The records of the items that can be read; the others are skipped and counted, and never stop a poll."""
        reads = []
        for item in items:
            try:
                result = function(item)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                self.skip(next(text for kind, text in SKIP_REASONS.items() if isinstance(error, kind)))
                continue
            if result is not None:
                reads.append(result if isinstance(result, Read) else Read(result, item))
        return reads

    def skip(self, reason: str) -> None:
        """Counts an item that could not be read."""
        self.skipped[reason] += 1
        if self._observe:
            self._observe.skipped(reason)

    async def gather(self, items: Sequence[T], function: Callable[[T], Awaitable[R]]) -> list[R]:
        """`function` of every item, in order, several at a time. The first error stops the rest."""
        tasks = [asyncio.ensure_future(function(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _list_answer(
        self,
        path: str,
        params: Mapping[str, str | int] | None,
        json: Mapping[str, Json] | None,
        place: Mapping[str, Json],
    ) -> Json:
        if json is None:
            return await self.get(path, {**(params or {}), **place})
        return await self._asked("POST", path, params, {**json, **place})

    async def _asked(self, method: str, path: str, params: Mapping[str, str | int] | None, json: Json) -> Json:
        where = f"{method} {path.partition('?')[0]}"
        retrying = stamina.retry_context(
            on=worth_retrying,
            attempts=self._settings.attempts,
            timeout=None,
            wait_initial=self._settings.retry_wait_seconds,
            wait_max=10,
            wait_jitter=self._settings.retry_wait_seconds,
        )
        async for attempt in retrying:
            with attempt:
                body = await self._once(method, path, params, json, where)
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            raise NotUnderstood(f"{where}: the answer is not JSON; is this the address of the API?") from error

    async def _once(
        self, method: str, path: str, params: Mapping[str, str | int] | None, json: Json, where: str
    ) -> bytes:
        """One request: the body of a 200, or the error it deserves."""
        settings = self._settings
        headers = {"Accept": "application/json"}
        if settings.auth.header:
            headers[settings.auth.header] = settings.auth.value
        body = None
        if json is not None:
            body, headers["Content-Type"] = msgspec.json.encode(json), "application/json"
        async with self._places, self._pace:
            try:
                async with self._session().request(
                    method,
                    self._base + path,
                    params=params,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    proxy=settings.proxy,
                    ssl=self._tls,
                    timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
                ) as response:
                    self._count(str(response.status))
                    self._judge(response, where)
                    return await self._read(response, where)
            except TimeoutError:
                self._count("timeout")
                raise Unavailable(f"{where}: no answer within {settings.timeout_seconds:g} s") from None
            except (aiohttp.ClientError, OSError) as error:
                self._count("error")
                raise Unavailable(f"{where}: {fault(error)}") from None

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
        return self._http

    def _count(self, code: str) -> None:
        if self._observe:
            self._observe.request(code)

    def _now(self) -> datetime:
        """`at` plus the time this poll has taken; connectors do not need it."""
        took = asyncio.get_running_loop().time() - self._began if self._began is not None else 0.0
        return self.at + timedelta(seconds=took)

    def _judge(self, response: aiohttp.ClientResponse, where: str) -> None:
        """Raises unless the answer is a 200."""
        status = response.status
        text = f"{where}: HTTP {status}"
        delay = self._retry_after(response.headers)
        if status == 200:
            return
        if status == 429:
            if self._observe:
                self._observe.rate_limited()
            until = self._now() + timedelta(seconds=UNSTATED_WAIT_SECONDS if delay is None else delay)
            raise RateLimited(f"{text}: asked too often; poll less often or set a rate", until, delay)
        if status in (401, 403, 407):
            raise AuthFailed(f"{text}: the credential is refused; is it right, not expired, and allowed to read this?")
        if 300 <= status < 400:
            raise AuthFailed(
                f"{text}: sent elsewhere, as to a log-in page; is the address right and the credential valid?"
            )
        if status in (404, 410):
            raise Gone(f"{text}: nothing is there")
        if status in (408, 425) or status >= 500:
            raise Unavailable(text, delay)
        raise NotUnderstood(f"{text}: the platform does not accept the question", status)

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        """The wait a platform asks for, given in seconds or as a date; the platform's own clock tells how far off."""
        text = headers.get("Retry-After", "").strip()
        if text.isdecimal() and len(text) < 9:
            return float(text)
        try:
            then = parsedate_to_datetime(text)
            now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else self._now()
        except ValueError:
            return None
        # A date with the zone "-0000" comes back without one; it is UTC (RFC 5322 3.3).
        return max(0.0, (utc(then) - utc(now)).total_seconds())

    async def _read(self, response: aiohttp.ClientResponse, where: str) -> bytes:
        """The body, given up on as soon as it is too large (sizes are after decompression)."""
        largest = self._settings.max_response_bytes
        body = bytearray()
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > largest:
                response.close()
                raise NotUnderstood(f"{where}: the answer is larger than {largest} bytes; use smaller pages")
        return bytes(body)


def worth_retrying(error: Exception) -> bool | float:
    """stamina's question: no, yes after its own wait, or yes after so many seconds."""
    if not isinstance(error, (Unavailable, RateLimited)):
        return False
    if error.delay is None:
        return True
    return error.delay if error.delay <= LONGEST_WAIT_SECONDS else False


def listed(path: str, answer: Json, key: str | None) -> list[Json]:
    """The items of an answer: the answer itself, or what it holds under `key`."""
    page = answer if key is None else answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(page, list):
        raise NotUnderstood(f"{path}: the answer holds no list{f' {key!r}' if key else ''}; is this the right address?")
    return page


def fault(error: Exception) -> str:
    """What went wrong with a connection, in words without addresses."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted; name its authority in ca_file"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, aiohttp.InvalidURL):
        return "the address is not a URL"
    number = getattr(error, "os_error", error)
    return f"{type(error).__name__}: {number.strerror}" if getattr(number, "strerror", None) else type(error).__name__


def utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
