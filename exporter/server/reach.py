"""The addresses of the server: its own paths, the URL that a proxy gives it, and requests that come through a proxy.

`--web.external-url` and `--web.route-prefix` mean what they mean to Prometheus: the path of the first is the prefix of
every route unless the second says otherwise.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from exporter.server.listen import ListenError, is_loopback
from exporter.server.places import origin

PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
HOST = re.compile(r"([A-Za-z0-9._-]*|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(:(?P<port>[0-9]{1,5}))?")
HEALTHY, READY, RELOAD = "/-/healthy", "/-/ready", "/-/reload"
KPIS, CARDS, EXPLAIN, EXPLAINED = "/api/v1/kpis", "/kpis", "/explain", "/api/v1/explain"
REPORT = "/report"
OURS = frozenset({HEALTHY, READY, RELOAD, KPIS, CARDS, EXPLAIN, EXPLAINED, REPORT})
PROXIES = ("x-forwarded", "x-envoy-", "x-original-", "cf-")  # how names of headers that proxies add begin
PROXY = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-proxyuser-ip"}
)


@dataclass(frozen=True, slots=True)
class Reach:
    """`prefix` stands before every route, `base` before every path in a page: "." is wherever the page is."""

    prefix: str = ""
    base: str = "."
    authority: str = ""  # host, or host:port, of the external address
    telemetry: str = "/metrics"

    @property
    def away(self) -> bool:
        """Whether the external address can be another machine's."""
        return bool(self.authority) and not is_loopback(urlsplit(f"//{self.authority}").hostname or "")


def reach(external_url: str = "", route_prefix: str | None = None, telemetry_path: str = "/metrics") -> Reach:
    """From the command line; raises ListenError with what would be right."""
    authority, path = _external(external_url)
    prefix = path if route_prefix is None else _path("--web.route-prefix", route_prefix)
    telemetry = _path("--web.telemetry-path", telemetry_path) or "/"
    if telemetry in OURS:
        raise ListenError(
            f"--web.telemetry-path {telemetry}: this path is already in use; choose another, such as /metrics"
        )
    return Reach(prefix=prefix, base=path or ".", authority=authority, telemetry=telemetry)


def _external(text: str) -> tuple[str, str]:
    """Authority and path."""
    wrong = f"--web.external-url {text!r}: write the address like https://host/outcome, or a path like /outcome"
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ListenError(wrong) from None
    whole = parts.scheme in ("http", "https") and host and not parts.username
    if parts.query or parts.fragment or not (whole or (not parts.scheme and not parts.netloc)):
        raise ListenError(wrong)
    return parts.netloc.lower(), _path("--web.external-url", parts.path)


def _path(option: str, text: str) -> str:
    """`/a/b`, or nothing for the root; slashes at either end are as good as none."""
    path = "/" + text.strip("/") if text.strip("/") else ""
    if not PATH.fullmatch(path):
        raise ListenError(f"{option} {text!r}: write a path of letters, digits and . _ ~ -, as in /outcome")
    return path


def named_well(host: str) -> bool:
    """Whether a Host header is a host, or host:port. The HTTP library takes anything, and makes much of it."""
    found = HOST.fullmatch(host)
    return found is not None and int(found["port"] or 0) <= 65535


def hostname(host: str) -> str:
    """The host of a Host header that is named well."""
    found = HOST.fullmatch(host)
    return "" if found is None else found["ipv6"] or found[1]


def passed_on(request: web.BaseRequest) -> bool:
    """Whether a proxy seems to have sent this: by a header of its own, or by HTTP/1.0, nginx's default towards us."""
    names = [name.lower() for name in request.headers]
    return request.version < HttpVersion11 or any(name in PROXY or name.startswith(PROXIES) for name in names)


def asker(request: web.BaseRequest) -> str:
    """Whom a request comes from, by places.origin(). Only a proxy on this machine is believed in whom it names."""
    peer = request.remote or ""
    if is_loopback(peer) and (named := request.headers.getall("X-Forwarded-For", ())):
        peer = named[-1].rpartition(",")[2].strip() or peer
    return origin((peer,))


def foreign(request: web.BaseRequest, reach: Reach) -> bool:
    """Whether the page of another web site sent this: browsers say so in Sec-Fetch-Site, and in Origin."""
    headers, here = request.headers, {request.host.lower(), reach.authority} - {""}
    return any(each not in ("none", "same-origin") for each in headers.getall("Sec-Fetch-Site", ())) or any(
        each.partition("://")[2].lower() not in here for each in headers.getall("Origin", ())
    )
