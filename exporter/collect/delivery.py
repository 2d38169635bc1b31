"""What senders deliver: one request as it came, the events in it, and refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Literal, get_args

from exporter.records import Json

Reason = Literal[
    "no_credential",
    "wrong_credential",
    "too_old",
    "too_large",
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


@dataclass(frozen=True, slots=True)
class Received:
    """The events of a delivery, and the answer once they are stored."""

    events: Sequence[Event]
    status: int = 202
    body: bytes = b""
    content_type: str = "application/json"
