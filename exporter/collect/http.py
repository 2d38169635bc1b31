"""The HTTP client of connectors: authentication, retries and rate limits. All their requests are sent here.

A `Client` is made for one poll of one source. Nothing it says (errors, repr) holds a secret, a query or an answer.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlencode

import msgspec
from multidict import CIMultiDict
from yarl import URL

from exporter.base.deferred import Deferred, asyncio
from exporter.base.errors import (
    LONGEST_WAIT_SECONDS,
    AuthFailed,
    BrokenOff,
    Forbidden,
    Gone,
    NotUnderstood,
    Partial,
    RateLimited,
    SourceError,
    TooLarge,
    Unavailable,
)
from exporter.collect import budget
from exporter.collect.account import Account
from exporter.collect.answer import WELL, Answer, decoded, explained, meaning
from exporter.collect.auth import NOBODY, Auth, Grant, TokenRequest
from exporter.collect.budget import Budget, Pace
from exporter.collect.memory import Memory
from exporter.collect.query import Query, Scalar, repeated
from exporter.collect.reading import ItemReader, Observer
from exporter.records import Json, Record

if TYPE_CHECKING:
    import aiohttp

    from exporter.collect import wire
else:
    wire = Deferred("exporter.collect.wire")  # aiohttp and stamina take long to load, and `check` sends nothing

__all__ = [
    "Answer",
    "Auth",
    "AuthFailed",
    "BrokenOff",
    "Forbidden",
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
Body = Mapping[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """How to reach one source."""

    url: str = field(repr=False)  # may hold a user and password
    auth: Auth | Grant = NOBODY
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How a platform speaks HTTP, as declared by its connector.

    `headers` go with every question. `hosts` are others, such as "identity.example.com", that links may lead to, and so
    the credential. `judge` says what an answer means where the general rules do not know it; None: they do.
    `budgets` are what it counts by itself when it limits how often it is asked.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    hosts: Collection[str] = ()
    judge: Callable[[Answer], SourceError | None] = lambda _: None
    budgets: Sequence[Budget] = ()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One question, which may have to be put more than once. `where` is what of it may be shown."""

    where: str
    url: URL = field(repr=False)
    params: Query | None = field(repr=False)
    json: Body | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def method(self) -> str:
        return "GET" if self.json is None else "POST"


class Client(ItemReader):
    """Asks one source during one poll. `at` is when the poll began, `since` the oldest instant a first sync wants."""

    def __init__(
        self,
        settings: HttpSettings,
        *,
        http: "aiohttp.ClientSession | None" = None,
        at: datetime,
        since: datetime,
        observe: Observer | None = None,
        mapped: Mapping[type[Record], Collection[str]] | None = None,
        dialect: Dialect | None = None,
        account: Account | None = None,
        memory: Mapping[str, Json] | None = None,
        paths: Collection[str] = (),
    ) -> None:
        super().__init__(mapped, observe)
        self.paths = sorted(paths)  # where in items the config looks
        self.memory = Memory(at, memory or {})
        self.settings, self.at, self.since = settings, at, since
        self.clock_offset_seconds: float | None = None  # the platform's clock minus ours, as far as it tells
        # Fetches the headers with which a forbidden request is sent again, such as a CSRF token. None: there are none.
        self.headers_if_forbidden: Callable[[], Awaitable[Mapping[str, str]]] | None = None
        self._dialect = dialect or Dialect()
        self._account = account or Account(settings.auth)
        self.headers: dict[str, str] = {}  # sent with every question of this poll, beside those of the dialect
        self._http, self._lent = http, http is not None
        self._began = asyncio.get_running_loop().time()
        self._places = asyncio.Semaphore(settings.concurrency)
        self._tls = wire.trusting(settings.ca_file) if settings.ca_file else True

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
        """The configured address without a trailing slash, user and password, for links to items."""
        scheme, separator, rest = self.settings.url.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"

    async def get(self, path: str, params: Query | None = None) -> Json:
        """The body of the answer to GET."""
        return (await self.ask(path, params)).body

    async def post(self, path: str, json: Body) -> Json:
        """The body of the answer to a POST that only reads; it may be sent more than once."""
        return (await self.ask(path, json=json)).body

    async def ask(
        self,
        path: str,
        params: Query | None = None,
        *,
        json: Body | None = None,
        headers: Mapping[str, str] | None = None,
        etag: str | None = None,
    ) -> Answer:
        """The answer to a question: GET, or POST where there is `json`. What is no answer is raised, as a SourceError.

        `path` follows the configured url, or is a whole address that leads to the same host or one of the dialect's.
        With `etag` an answer that has not changed since it had that one is `unchanged`, and has no body.
        """
        more = CIMultiDict(headers or {})
        if etag:
            more["If-None-Match"] = etag
        url = self.address(path)
        shown = path.partition("?")[0] if path.startswith("/") else url.path
        question = HttpRequest(f"{'GET' if json is None else 'POST'} {shown}", url, params, json, more)
        try:
            return await self._answer(question)
        except Forbidden:
            if self.headers_if_forbidden is None:
                raise
            fetch, self.headers_if_forbidden = self.headers_if_forbidden, None  # not again while it is being fetched
            try:
                self.headers |= await fetch()
            finally:
                self.headers_if_forbidden = fetch
            return await self._answer(question)

    def address(self, path: str) -> URL:
        """Where a question goes. A link to the source's own host stays there, whatever scheme and port it names: they
        are often those behind a proxy, and the credential must not go where nobody meant it to."""
        own = URL(self.settings.url.rstrip("/"))
        if not path.startswith(("http://", "https://")):
            return URL(self.settings.url.rstrip("/") + path)
        link = URL(path)
        if link.authority in self._dialect.hosts and link.scheme == own.scheme:
            return link
        if link.host != own.host:
            raise NotUnderstood(f"{link.path}: the platform redirects to another host; check the url")
        return URL.build(
            scheme=own.scheme,
            authority=own.raw_authority,
            path=link.raw_path,
            query_string=link.raw_query_string,
            encoded=True,
        )

    async def gather(self, items: Sequence[T], function: Callable[[T], Awaitable[R]]) -> list[R]:
        """`function` of every item, in order, several at a time. The first error stops the rest."""
        tasks = [asyncio.ensure_future(function(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def some(
        self, items: Sequence[T], function: Callable[[T], Awaitable[R]], most: int
    ) -> tuple[list[R], Sequence[T]]:
        """`function` of the first `most` items, in order, and the items that are left for another poll."""
        return await self.gather(items[:most], function), items[most:]

    async def _answer(self, question: HttpRequest) -> Answer:
        async for once in wire.retries(self.settings.attempts, self.settings.retry_wait_seconds):
            with once:
                answer = await self._allowed(question)
                fault = self._dialect.judge(answer) or meaning(answer, conditional="If-None-Match" in question.headers)
                if isinstance(fault, RateLimited):
                    self._pace(question)[0].close(fault.delay or 0)  # every source of the account is told
                    if self._observe:
                        self._observe.rate_limited()
                if fault:
                    raise fault
        return answer

    async def _allowed(self, question: HttpRequest) -> Answer:
        """One request under the credential; once more under a new one where it has run out."""
        credential = self._account.credential
        auth = await credential.header(self._token, self.now)
        answer = await self._paced(question, auth)
        if self._refused(answer) and (again := await credential.another(auth, self._token, self.now)):
            answer = await self._paced(question, again)
        return answer

    def _refused(self, answer: Answer) -> bool:
        """Whether it is the credential that is refused, by its status or in the words of the platform."""
        fault = None if answer.status in WELL else self._dialect.judge(answer)
        return answer.status == 401 or (isinstance(fault, AuthFailed) and not isinstance(fault, Forbidden))

    async def _paced(self, question: HttpRequest, auth: Auth) -> Answer:
        """One request when the account's budgets let it go, and what comes back, whatever it means."""
        headers = CIMultiDict({"Accept": "application/json", **auth.headers})
        data = None
        if question.json is not None:
            data, headers["Content-Type"] = msgspec.json.encode(question.json), "application/json"
        for more in (self._dialect.headers, self.headers, question.headers):
            headers.update(more)
        self._http = self._http or wire.session()
        pace, limit = self._pace(question)
        url, params, answer = question.url, repeated(question.params), None
        while answer is None:
            await self._turn(question, pace, limit)
            async with self._places:
                if not pace.wait():  # else another answer has closed it while this waited for its place
                    answer = await self._sent(self._http, question.method, url, question.where, headers, data, params)
        if (left := budget.left(answer.headers, answer.at)) and left.requests == 0:
            pace.close(left.seconds)
        return answer

    async def _turn(self, question: HttpRequest, pace: Pace, limit: Budget | None) -> None:
        """Waits until the budget of a question lets it go. It holds no place meanwhile: other budgets may be free."""
        while (wait := pace.wait()) > 0:
            if wait > LONGEST_WAIT_SECONDS:
                text = f"{question.where}: not asked, because the platform allows no more requests for {wait:.0f} s"
                raise RateLimited(text, self.now + timedelta(seconds=wait), wait)
            await asyncio.sleep(wait)
        if limit and limit.requests:
            await pace.turn(limit.requests, limit.seconds)
        if self.settings.rate:
            await self._account.overall.turn(1, 1 / self.settings.rate)

    def _pace(self, question: HttpRequest) -> tuple[Pace, Budget | None]:
        """The pace of the budget that a question belongs to, and that budget, where it is one of the dialect's."""
        path = question.url.path.removeprefix(URL(self.settings.url.rstrip("/")).path.rstrip("/"))
        mine = budget.of(path, self._dialect.budgets)
        return self._account.pace(mine.name if mine else ""), mine

    async def _token(self, request: TokenRequest) -> Answer:
        """The answer to a request for a token, over a connection of its own: a poll that ends must not break it off."""
        form = "application/x-www-form-urlencoded"
        headers = CIMultiDict(
            {"Accept": "application/json", "Content-Type": form if request.form else "application/json"}
        )
        headers.update({**self._dialect.headers, **request.headers})
        data = urlencode(request.body).encode() if request.form else msgspec.json.encode(request.body)
        async with wire.session() as http:
            return await self._sent(http, "POST", URL(request.url), request.where, headers, data)

    @property
    def now(self) -> datetime:
        """The present: the time when the poll began plus the time elapsed since. No clock is read here."""
        return self.at + timedelta(seconds=asyncio.get_running_loop().time() - self._began)

    async def _sent(
        self,
        http: "aiohttp.ClientSession",
        method: str,
        url: URL,
        where: str,
        headers: Mapping[str, str],
        data: bytes | None,
        params: list[tuple[str, Scalar]] | None = None,
    ) -> Answer:
        """One request and what comes back, whatever it means."""
        settings = self.settings
        try:
            async with http.request(
                method,
                url,
                params=params,
                data=data,
                headers=headers,
                allow_redirects=False,
                proxy=settings.proxy,
                ssl=self._tls,
                timeout=wire.total(settings.timeout_seconds),
            ) as response:
                at = self._came(response)
                well = response.status in WELL
                limit = settings.max_response_bytes
                body = await (wire.read_body(response, where, limit) if well else wire.refusal(response))
        except TimeoutError:
            self._count("timeout")
            raise Unavailable(f"{where}: no answer within {settings.timeout_seconds:g} s") from None
        except wire.Failed as error:
            self._count("error")
            raise wire.failed(f"{where}: {wire.fault(error)}", error) from None
        return Answer(
            where=where,
            status=response.status,
            at=at,
            url=str(response.url),
            headers=response.headers,
            links=wire.linked(response),
            # In a thread: a large answer takes long, and everything else would wait for it.
            body=await asyncio.to_thread(decoded, body, where) if well else explained(body),
        )

    def _came(self, response: "aiohttp.ClientResponse") -> datetime:
        """Counts the answer; when it came."""
        self._count(str(response.status))
        now = self.now
        with suppress(KeyError, ValueError, TypeError):  # no date, or none that can be read
            self.clock_offset_seconds = (parsedate_to_datetime(response.headers["Date"]) - now).total_seconds()
        return now

    def _count(self, code: str) -> None:
        if self._observe:
            self._observe.request(code)
