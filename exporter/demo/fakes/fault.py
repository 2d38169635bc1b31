"""Trouble on demand: an aiohttp middleware that any fake platform can be served behind."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Middleware

Trouble = int | Literal["garbage", "odd", "half", "cut", "silence", "repeat"] | None
"""What happens to a request: an HTTP status; an answer that is not JSON; JSON that is of no use; half an answer with a
good ending; a connection cut in mid-answer; no answer; the first page of that list again; or None, nothing."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Faults:
    """What happens to the coming requests, in order, and to all after them. It may be changed while serving."""

    coming: deque[Trouble] = field(default_factory=deque)
    after: Trouble = None
    about: Callable[[web.Request], bool] = lambda _: True  # `after` happens only to these requests
    silence_ends: asyncio.Event = field(default_factory=asyncio.Event)
    retry_after: str | None = None  # sent with every made-up status
    requests: list[str] = field(default_factory=list)  # "GET /path" of each request so far
    first: dict[str, bytes] = field(default_factory=dict)  # by question

    def middleware(self) -> Middleware:
        """For `Application(middlewares=[...])`."""

        @web.middleware
        async def trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.requests.append(f"{request.method} {request.path}")
            kind = self.coming.popleft() if self.coming else self.after if self.about(request) else None
            if isinstance(kind, int):
                headers = {"Retry-After": self.retry_after} if self.retry_after is not None else {}
                return web.json_response({"message": "made-up trouble"}, status=kind, headers=headers)
            if kind == "silence":
                await self.silence_ends.wait()
            response = await handler(request)
            if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
                return response
            body = response.body
            if kind == "repeat":
                body = self.first.setdefault(question(request), body)
            elif kind == "garbage":
                body = b"<html>Please log in</html>"
            elif kind == "odd":
                body = b'["odd", {"odd": [null, 0.5]}]'
            elif kind == "half":
                body = body[: len(body) // 2]
            elif kind == "cut":
                return await cut(request, body)
            headers = {name: text for name, text in response.headers.items() if not name.startswith("Content-")}
            return web.Response(
                body=body, status=response.status, headers=headers, content_type="application/json"
            )  # with its links, and the rest that is not about the body

        return trouble


def question(request: web.Request) -> str:
    """Which list is asked for, wherever in it: a place may be a parameter, or part of a query or of the body."""
    return " ".join([request.path, *sorted(set(request.query) - {"cursor", "offset", "page", "start"})])


async def cut(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of the promised bytes, then nothing."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body) + 1), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport:
        request.transport.close()
    return response
