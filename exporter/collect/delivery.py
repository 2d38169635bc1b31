"""What senders deliver: one request as it came, the events in it, and refusals."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Literal, get_args

from exporter.records import Json
from exporter.records.unreadable import Unreadable

Reason = Literal[
    "no_credential",
    "wrong_credential",
    "too_old",
    "too_large",
    "too_slow",
    "wrong_encoding",
    "wrong_type",
    "not_readable",
    "not_signed",
    "busy",
    "store",
    "bug",
]
"""Why a delivery is refused, as a label value."""
REASONS: tuple[Reason, ...] = get_args(Reason)


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """A delivery that is not taken: the status of the answer, and a text that repeats nothing of what was sent."""

    def __init__(self, status: int, reason: Reason, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.reason, self.retry_after = status, reason, retry_after


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request of a sender that has proved who it is. `headers`: by names in small letters; `at`: when it came.

    `headers_signed`: whether the sender's proof is good for the headers, too: a token is, most signatures are not.
    """

    headers: Mapping[str, str]
    body: bytes
    at: datetime
    headers_signed: bool = True

    @property
    def media_type(self) -> str:
        """The Content-Type in small letters, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Link:
    """What an event is inside of, in a tree of events (`trace`); ids are hexadecimal, `parent` is empty at the root.

    `inner`: whether its run is part of another run, if that is around it, however far out, and is not counted then.
    """

    trace: str
    id: str
    parent: str
    inner: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `key` tells it from every other of its sender; an event of the same key is the same, sent again.

    `at`: when it happened, or came. `type`: a word that may be shown. Without a key it is read again when it is sent
    again.
    """

    key: str
    type: str
    at: datetime
    item: Json = field(repr=False)
    link: Link | None = None

    @property
    def number(self) -> int | None:
        """The key as a number of 64 bits."""
        if not self.key:
            return None
        return int.from_bytes(blake2b(self.key.encode(errors="replace"), digest_size=8).digest())


def broken(given: bytes, at: datetime, why: Unreadable) -> Event:
    """One event of several that cannot be read as what it should be: the others are taken, and it is counted.

    `given`: what was sent. Nothing is kept of that but a hash, which tells when it is sent again.
    """
    return Event(blake2b(given, digest_size=16).hexdigest(), "unreadable", at, why)


def nothing() -> tuple[bytes, str]:
    """An answer without a body."""
    return b"", ""


@dataclass(frozen=True, slots=True)
class Received:
    """The events of a delivery, and the answer once they are stored.

    `events` may be made while they are stored, so that a large delivery is never in memory as a whole, and may raise
    Refused. `answer`: the body and its Content-Type; called when all are stored.
    """

    events: Iterable[Event]
    status: int = 202
    answer: Callable[[], tuple[bytes, str]] = nothing
