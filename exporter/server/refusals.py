"""Errors as answers: pages with a way back for people, JSON below /api, a line of text for all other programs."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from exporter.server import hooks
from exporter.server.page import Pages
from exporter.server.reach import Reach, named_well
from exporter.server.surface import PLAIN, Refusal

log = logging.getLogger("exporter.server")

HEADINGS = {
    400: "This cannot be answered",
    401: "A password is needed",
    403: "This is not allowed",
    404: "There is no such page",
    405: "This address does not work that way",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available now",
}
PROGRAMS = ("/-/", *hooks.PREFIXES)
"""How paths begin that programs ask, and read a line of text."""
KEPT = ("Allow", "WWW-Authenticate")
"""Headers of an error that belong to it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusals:
    """Makes answers of errors."""

    def __init__(self, pages: Pages, reach: Reach) -> None:
        self._pages, self._reach = pages, reach

    @property
    def middleware(self) -> Any:
        """A fault in a handler costs one answer, and says nothing about itself to strangers."""

        @web.middleware
        async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if not named_well(request.host):
                    raise Refusal(400, "the Host header is not a host, or host:port")
                return await handler(request)
            except Refusal as refusal:
                return self._answer(request, refusal)
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                headers = {name: error.headers[name] for name in KEPT if name in error.headers}
                return self._answer(request, _in_words(request, error), headers)
            except ConnectionError:
                raise
            except Exception:
                log.exception("%s %s could not be answered", request.method, request.path)
                return self._answer(request, Refusal(500, "something went wrong; see the exporter's log"))

        return faults

    def _answer(
        self, request: web.Request, refusal: Refusal, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        path = request.path.removeprefix(self._reach.prefix)
        if path.startswith("/api/"):
            body = msgspec.json.encode({"error": str(refusal)})
            return web.Response(
                status=refusal.status, body=body, headers=headers, content_type="application/json", charset="utf-8"
            )
        if path.startswith(PROGRAMS) or path == self._reach.telemetry or request.headers.get("Accept") == PLAIN:
            return web.Response(status=refusal.status, text=f"{refusal}\n", headers=headers)
        page = self._pages.other(
            "error",
            base=self._base(request),
            heading=HEADINGS.get(refusal.status, "This did not work"),
            status=refusal.status,
            reason=_sentence(str(refusal)),
            choices=refusal.choices,
        )
        return web.Response(status=refusal.status, text=page, headers=headers, content_type="text/html")

    def _base(self, request: web.Request) -> str:
        """What stands before every path of ours, in a page that may be at any depth."""
        base, prefix, path = self._reach.base, self._reach.prefix, request.rel_url.raw_path
        if base != ".":
            return base
        if prefix and not path.startswith(f"{prefix}/"):
            return _up(path) + prefix
        return _up(path.removeprefix(prefix))


def _up(path: str) -> str:
    """From a page to the root."""
    return "/".join([".."] * (path.count("/") - 1)) or "."


def _in_words(request: web.Request, error: web.HTTPException) -> Refusal:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = " and ".join(sorted(error.allowed_methods))
        return Refusal(405, f"{request.path} accepts {allowed}, not {request.method}")
    if error.status == 404 and (not error.text or error.text.startswith("404:")):
        return Refusal(404, f"there is nothing at {request.path}")
    return Refusal(error.status, (error.text or error.reason).strip())


def _sentence(text: str) -> str:
    """A reason as a sentence; one that begins with the name of a parameter keeps that as it is."""
    named = text.partition(" ")[0].endswith(":")
    return (text if named else text[:1].upper() + text[1:]) + ("" if text.endswith((".", "!", "?")) else ".")
