"""Where senders push: authenticates a delivery, reads it up to a limit, and answers once it is stored."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web

from exporter.collect.delivery import Delivery, Refused
from exporter.collect.receive import AGAIN_SECONDS, Inbox, Receiver

READ_SECONDS = 30.0  # for a body to arrive
MOST_HELD = 64 * 1024 * 1024  # bytes of all bodies that are not answered yet, packed and unpacked
ROUTES = ("/events/{source}", "/otlp/{source}/v1/traces")
PREFIXES = ("/events/", "/otlp/")
ORIGIN = "WebHook-Request-Origin"


class Hooks:
    """The handlers of these paths, which a password does not guard: each source has its own way to."""

    def __init__(
        self, inbox: Inbox, prefix: str, *, read_seconds: float = READ_SECONDS, most_held: int = MOST_HELD
    ) -> None:
        self._inbox, self._prefix = inbox, prefix
        self._read_seconds, self._most_held = read_seconds, most_held
        self._held = 0

    def add_to(self, app: web.Application) -> None:
        """Adds the routes."""
        for route in ROUTES:
            app.router.add_post(self._prefix + route, self.deliver)
            app.router.add_route("OPTIONS", self._prefix + route, self.agree)

    def is_one(self, path: str) -> bool:
        """Whether a path is one of a source that receives; a password guards all others."""
        return self._receiver(path) is not None

    def _receiver(self, path: str) -> Receiver | None:
        ours = path.startswith(tuple(self._prefix + each for each in PREFIXES))
        return self._inbox.at(path.removeprefix(self._prefix)) if ours else None

    async def agree(self, request: web.Request) -> web.Response:
        """The handshake of CloudEvents webhooks. It proves nothing, and allows nothing that a credential does not."""
        if self._receiver(request.path) is None:
            raise web.HTTPNotFound
        headers = {"Allow": "POST, OPTIONS"}
        if origin := request.headers.get(ORIGIN):
            headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return web.Response(headers=headers)

    async def deliver(self, request: web.Request) -> web.Response:
        """A delivery: 202, or what its connector answers, once it is stored."""
        receiver = self._receiver(request.path)
        if receiver is None:
            raise web.HTTPNotFound(text="no source receives here; see the config\n")
        try:
            received = await self._received(request, receiver)
        except Refused as why:
            receiver.refused(why)
            return _refusal(why)
        return received

    async def _received(self, request: web.Request, receiver: Receiver) -> web.Response:
        headers = {name.lower(): request.headers[name] for name in request.headers}  # the first of each
        door = receiver.door
        door.check_headers(headers)
        body = await self._body(request, door.most_bytes)
        try:
            at = self._inbox.now
            door.check_body(headers, body, at)
            with self._unpacked(body, headers, door.most_bytes) as plain:
                received = receiver.read(Delivery(headers, plain, at, headers_signed=door.headers_signed))
                await self._inbox.take(receiver, received.events)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - what a sender sends must not end in a traceback, which may quote it
            raise receiver.failed(error) from None
        finally:
            self._held -= len(body)
        answer, content_type = received.answer()
        return web.Response(status=received.status, body=answer, content_type=content_type if answer else None)

    @contextmanager
    def _unpacked(self, body: bytes, headers: Mapping[str, str], most: int) -> Iterator[bytes]:
        """The body as it was before it was packed; what that takes is held, too."""
        plain = unpacked(body, headers.get("content-encoding", ""), most)
        more = 0 if plain is body else len(plain)
        if self._held + more > self._most_held:
            raise _busy()
        self._held += more
        try:
            yield plain
        finally:
            self._held -= more

    async def _body(self, request: web.Request, most: int) -> bytes:
        """The body as it was sent. What is held of all bodies at once is limited, too."""
        too_large = Refused(413, "too_large", f"a delivery may have {most} bytes")
        if (request.content_length or 0) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._read_seconds):
                async for chunk in _chunks(request):
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > most:
                        raise too_large
                    if self._held > self._most_held:
                        raise _busy()
        except TimeoutError:
            self._held -= len(body)
            raise Refused(408, "too_slow", "the body did not arrive in time") from None
        except BaseException:
            self._held -= len(body)
            raise
        return bytes(body)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    while chunk := await request.content.readany():
        yield chunk


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """A body without its Content-Encoding. Raises Refused."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise Refused(415, "wrong_encoding", "the Content-Encoding may be gzip, or none")
    reader = zlib.decompressobj(wbits=31)
    try:
        plain = reader.decompress(body, most + 1)
    except zlib.error:
        raise Refused(400, "wrong_encoding", "the body is not gzip") from None
    if len(plain) > most:
        raise Refused(413, "too_large", f"a delivery may have {most} bytes, unpacked")
    if not reader.eof or reader.unused_data:
        raise Refused(400, "wrong_encoding", "the body is not one whole gzip stream")
    return plain


def _busy() -> Refused:
    return Refused(503, "busy", "too much is being received at once", retry_after=AGAIN_SECONDS)


def _refusal(why: Refused) -> web.Response:
    headers = {"Retry-After": str(why.retry_after)} if why.retry_after else {}
    if why.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=why.status, text=f"{why}\n", headers=headers)
