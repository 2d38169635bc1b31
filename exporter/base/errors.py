"""Errors while a source is read, named after what the poller does about them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_TOLD_SECONDS = 366 * 86400.0  # "not before the year 9999" is no longer than that
LONGEST_WAIT_SECONDS = 30.0  # a longer Retry-After is not sat out inside a poll: the poller is told until when to wait


class SourceError(Exception):
    """A poll cannot continue. `reason` becomes the value of a label."""

    reason = "unknown"


class AuthFailed(SourceError):  # noqa: N818 - named by what the poller does
    """The credential is missing, wrong, expired or allows too little: stop and alert."""

    reason = "auth"


class Forbidden(AuthFailed):
    """The credential is valid, but not for this item or resource, or the plan lacks it. Others are read on."""


class RateLimited(SourceError):  # noqa: N818 - named by what the poller does
    """Too many requests: wait `until` then. `delay`: the wait in seconds, if the platform gives one."""

    reason = "rate_limited"

    def __init__(self, text: str, until: datetime, delay: float | None = None) -> None:
        super().__init__(text)
        self.until = until
        self.delay = delay


class Unavailable(SourceError):  # noqa: N818 - named by what the poller does
    """Not available for now: back off. `delay`: the wait in seconds, if the platform gives one."""

    reason = "unavailable"

    def __init__(self, text: str, delay: float | None = None) -> None:
        super().__init__(text)
        self.delay = delay


class Unreachable(Unavailable):
    """There is no connection: whatever is asked next would not arrive either."""


class NotUnderstood(SourceError):  # noqa: N818 - named by what the poller does
    """An answer that the exporter cannot interpret, or a request that the platform refused: keep old data and alert."""

    reason = "not_understood"

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class TooLarge(NotUnderstood):
    """An answer larger than the limit. Repeating the request does not help, unless a page can be smaller."""


class BrokenOff(NotUnderstood):
    """An answer that breaks off, as if the request took the platform too long. A smaller page may help."""


class Partial(SourceError):  # noqa: N818 - named by what the poller does
    """Raised after the last page: parts of the source could not be read, the others were. The source is marked."""

    reason = "partial"


class Gone(SourceError):  # noqa: N818 - named by what the poller does
    """One item is deleted: continue. From a list it means that the address is wrong."""

    reason = "gone"


class StartOver(NotUnderstood):
    """What was read last no longer exists, as on a platform that was set up anew or restored: read everything again.

    `cursor` is where to begin. What is stored is kept.
    """

    def __init__(self, text: str, cursor: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.cursor = cursor or {}


def refusal(status: int, text: str, delay: float | None) -> SourceError:
    """The error that an HTTP status means."""
    if status == 402:
        return Forbidden(f"{text}: the platform's plan does not include this")
    if status in (401, 403, 407):
        kind = Forbidden if status == 403 else AuthFailed
        return kind(f"{text}: the credential is refused; check that it is right, has not expired and may read this")
    if 300 <= status < 400:
        return AuthFailed(f"{text}: redirected, for example to a log-in page; check the address and the credential")
    if status in (404, 410):
        return Gone(f"{text}: nothing is there")
    if status in (408, 425) or status >= 500:
        return Unavailable(text, delay)
    return NotUnderstood(f"{text}: the platform rejects the request", status)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait in seconds from Retry-After, given as seconds or as a date relative to the platform's own clock."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 9:
        return float(text)
    try:
        then = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else now
    except ValueError:
        return None
    # A date with the zone "-0000" comes back without one; it is UTC (RFC 5322 3.3).
    return min(max(0.0, (utc(then) - utc(now)).total_seconds()), LONGEST_TOLD_SECONDS)


def utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def worth_retrying(error: Exception) -> bool | float:
    """Tells stamina whether to retry: no, yes after its own wait, or yes after this many seconds."""
    if not isinstance(error, Unavailable | RateLimited):
        return False
    if error.delay is None:
        return True
    return error.delay if error.delay <= LONGEST_WAIT_SECONDS else False
