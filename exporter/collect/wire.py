"""What of HTTP is aiohttp's and stamina's: sessions, bodies, links, faults, retries. Loaded with the first request."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import stamina
import stamina.instrumentation

from exporter.base.errors import TooLarge, Unavailable, Unreachable, worth_retrying

# stamina would log each retry, arguments included, and count it in the global Prometheus registry.
stamina.instrumentation.set_on_retry_hooks([])

LARGEST_REFUSAL = 64 * 1024  # bytes that are read of the body of a refusal


Failed = (aiohttp.ClientError, OSError)
"""What a request that gets no answer raises."""


def session() -> aiohttp.ClientSession:
    """Connections that keep no cookies."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


def trusting(ca_file: str) -> ssl.SSLContext:
    """TLS to servers whose certificates come from an authority of one's own."""
    return ssl.create_default_context(cafile=ca_file)


def retries(attempts: int, wait: float) -> AsyncIterator[stamina.Attempt]:
    """Attempts at something until it works, pausing for longer and longer where its fault may pass."""
    # In order: on, attempts, timeout, wait_initial, wait_max, wait_jitter.
    return stamina.retry_context(worth_retrying, attempts, None, wait, 20 * wait, wait)


def total(seconds: float) -> aiohttp.ClientTimeout:
    """A limit for a request from its beginning to the end of its answer."""
    return aiohttp.ClientTimeout(total=seconds)


def linked(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The addresses in the header Link, by relation (`next`)."""
    with suppress(ValueError):  # an address that is none
        return {rel: str(link["url"]) for rel, link in response.links.items()}
    return {}


async def refusal(response: aiohttp.ClientResponse) -> bytes:
    """The body of a refusal; empty if it cannot be read, because the status is what counts."""
    with suppress(aiohttp.ClientError, OSError, TooLarge):  # an OSError: TimeoutError, too
        return await read_body(response, "", LARGEST_REFUSAL)
    return b""


async def read_body(response: aiohttp.ClientResponse, where: str, largest: int) -> bytes:
    """The body; raises TooLarge as soon as it exceeds the limit (after decompression)."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > largest:
            response.close()
            raise TooLarge(f"{where}: the answer is larger than {largest} bytes; use smaller pages")
    return bytes(body)


def failed(text: str, error: Exception) -> Unavailable:
    """The error of a question that failed on its way."""
    return (Unreachable if isinstance(error, aiohttp.ClientConnectorError) else Unavailable)(text)


def fault(error: Exception) -> str:
    """A connection fault in words without addresses."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted; name its certificate authority in ca_file"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot connect: the host name is unknown; check the url"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "cannot connect by TLS; check the url, and whether the server speaks https"
    cause = getattr(error, "os_error", error)  # its text may hold the address; its number does not
    number = cause.errno if isinstance(cause, OSError) else None
    what = "cannot connect" if isinstance(error, aiohttp.ClientConnectorError) else type(error).__name__
    return f"{what}: {os.strerror(number)}" if number and number > 0 else what
