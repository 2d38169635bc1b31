"""What a platform says to one question, and the words for what it may mean. Nothing here reads a clock."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urljoin

from exporter.base import errors
from exporter.base.errors import BrokenOff, Forbidden, NotUnderstood, RateLimited, SourceError, StartOver, Unavailable
from exporter.collect import budget
from exporter.collect.decode import decoded as decode
from exporter.collect.decode import decoded_in_parts
from exporter.records import Json

WELL = (200, 201)
UNSTATED_WAIT_SECONDS = 60.0  # how long to keep away after a rate limit that names no time


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer, decoded. `body` is None where there is none or, in a refusal, none that is JSON.

    `where` is the question as it may be shown; `at` is when the answer came; `links` are those of the header `Link`, by
    `rel`. `items` is filled by exporter.collect.paging.
    """

    where: str
    status: int
    at: datetime
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # in any case of letters
    links: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Json = field(default=None, repr=False)
    items: Sequence[Json] = field(default=(), repr=False)

    @property
    def etag(self) -> str | None:
        """What to ask with next time, so that an answer that has not changed need not be sent again."""
        return self.headers.get("ETag")

    @property
    def unchanged(self) -> bool:
        """Whether it is what it was when it had the etag that was sent; there is no body then."""
        return self.status == 304

    def find(self, path: "Place") -> Json:
        """What the body holds at a place, such as "meta.after_cursor"; None where it holds nothing there."""
        if callable(path):
            return path(self)
        found = self.body
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def listed(self, path: "Place | None" = None) -> list[Json]:
        """The items: the body itself, or what it holds at a place. NotUnderstood where that is no list."""
        page = self.body if path is None else self.find(path)
        if not isinstance(page, list):
            raise NotUnderstood(f"{self.where}: the answer contains no list; check that this is the address of the API")
        return page

    def link(self, given: Json) -> str | None:
        """The address that a link in the body leads to, however much of it is written."""
        return urljoin(self.url, given) if isinstance(given, str) and given else None

    # What a connector's `judge` may say of an answer.

    def rate_limited(self) -> RateLimited:
        """Asked too often. The headers say for how long to keep away; else it is a minute."""
        told = errors.retry_after(self.headers, self.at)
        told = budget.reset_after(self.headers, self.at) if told is None else told
        until = self.at + timedelta(seconds=UNSTATED_WAIT_SECONDS if told is None else told)
        text = f"{self.where}: HTTP {self.status}: too many requests; poll less often or set a rate"
        return RateLimited(text, until, told)

    def forbidden(self, why: str) -> Forbidden:
        """The credential is good, but this resource is not for it: said of the resource and not of the source."""
        return Forbidden(f"{self.where}: HTTP {self.status}: {why}")

    def unavailable(self, why: str) -> Unavailable:
        """It may be well a little later: it is asked again."""
        return Unavailable(f"{self.where}: HTTP {self.status}: {why}", errors.retry_after(self.headers, self.at))

    def broken_off(self, why: str) -> BrokenOff:
        """The platform gave up in the middle: a list is asked for again in smaller pages."""
        return BrokenOff(f"{self.where}: HTTP {self.status}: {why}")

    def start_over(self, why: str) -> StartOver:
        """What the cursor tells of is not there, as where the platform calls it expired: all is read again."""
        return StartOver(f"{self.where}: HTTP {self.status}: {why}; all is read again, and what is stored is kept")

    def not_understood(self, why: str) -> NotUnderstood:
        """Asking again does not help."""
        return NotUnderstood(f"{self.where}: HTTP {self.status}: {why}", self.status)


Place = str | Callable[[Answer], Json]
"""Where something stands in an answer: a dotted path, or a function that finds it."""


def meaning(answer: Answer, *, conditional: bool) -> SourceError | None:
    """What an answer means on any platform; None where it is a good one. `conditional`: it was asked with an etag."""
    if answer.status in WELL or (answer.unchanged and conditional):
        return None
    if answer.status == 429:
        return answer.rate_limited()
    text = f"{answer.where}: HTTP {answer.status}"
    return errors.refusal(answer.status, text, errors.retry_after(answer.headers, answer.at))


def decoded(body: bytes, where: str) -> Json:
    """The value of the body of a good answer."""
    try:
        return decoded_in_parts(body)
    except (ValueError, RecursionError):  # without the cause: it may quote the answer
        pass
    if body.lstrip()[:1] in (b"{", b"["):
        raise BrokenOff(f"{where}: the answer is cut off in the middle of its JSON")
    raise NotUnderstood(f"{where}: the answer is not JSON; check that this is the address of the API")


def explained(body: bytes) -> Json:
    """What a refusal says of itself, where that is JSON: it only helps to judge it, so there may be anything."""
    with suppress(ValueError, RecursionError):
        return decode(body)
    return None
