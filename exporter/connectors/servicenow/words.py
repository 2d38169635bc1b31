"""ServiceNow: what the choices in its tables mean, as it ships them, and as an instance says over them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from exporter.collect.mapping import Which
from exporter.records import ChangeKind, ChangeResult, Channel, IncidentSeverity, Json, RequestOutcome, unreadable
from exporter.records.unreadable import value

T = TypeVar("T")

Stage = Literal["pending", "review", "closed", "cancelled"]
"""How far a change is. Where it is closed its close code says the result; in review, where there is one already."""

OUTCOMES: dict[str, dict[str, RequestOutcome]] = {
    "incident": {
        "1": "open",
        "2": "open",
        "3": "open",
        "4": "open",  # before the state On Hold: awaiting the user
        "5": "open",  # awaiting evidence
        "6": "resolved",
        "7": "resolved",
        "8": "abandoned",
    },
    "sc_req_item": {
        "-5": "open",
        "1": "open",
        "2": "open",
        "3": "resolved",
        "4": "abandoned",
        "5": "abandoned",  # closed skipped, by one description
        "7": "abandoned",  # by the other
    },
    "interaction": {
        "new": "open",
        "on_hold": "open",
        "work_in_progress": "open",
        "wrap_up": "open",
        "closed_complete": "resolved",
        "closed_abandoned": "abandoned",
        "faulted": "abandoned",
    },
}
STAGES: dict[str, Stage] = {
    "-5": "pending",
    "-4": "pending",
    "-3": "pending",
    "-2": "pending",
    "-1": "pending",
    "0": "review",
    "1": "pending",
    "2": "pending",
    "3": "closed",
    "4": "cancelled",
    "7": "cancelled",
}
CLOSE_CODES: dict[str, ChangeResult] = {
    "successful": "succeeded",
    "successful_issues": "succeeded",
    "unsuccessful": "failed",
}
UNDECIDED: dict[Stage, ChangeResult | None] = {
    "pending": "pending",
    "review": "pending",
    "closed": None,
    "cancelled": "cancelled",
}
"""What came of a change that has no close code."""
KINDS = unreadable.Words[ChangeKind]("kind", {"normal": "normal", "standard": "standard", "emergency": "emergency"})
CHANNELS = unreadable.Words[Channel](
    "channel",
    {
        "phone": "phone",
        "email": "email",
        "self_service": "portal",
        "walk_in": "other",
        "chat": "chat",
        "messaging": "chat",
        "virtual_agent": "chat",
        "web": "web",
        "social": "social",
        "monitoring": "api",
        "event": "api",
    },
)
SEVERITIES = unreadable.Words[IncidentSeverity](
    "severity", {"1": "sev1", "2": "sev2", "3": "sev3", "4": "sev4", "5": "sev5"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What things mean on one instance."""

    url: str
    bots: Collection[str]  # users that are automation: user names, or ids
    tiers: Collection[str]  # groups a move to which is an escalation; none = every one
    incidents: Sequence[Which]  # which incidents are service interruptions
    not_requests: Sequence[Which]  # which incidents nobody has asked for
    outcomes: Mapping[str, Mapping[str, RequestOutcome]]  # by table
    stages: Mapping[str, Stage]
    close_codes: Mapping[str, ChangeResult]


def over(column: str, usual: Mapping[str, T], own: Mapping[str, T]) -> unreadable.Words[T]:
    """The words of a table, and over them an instance's own."""
    return unreadable.Words(column, {**usual, **{word(theirs): ours for theirs, ours in own.items()}})


def meaning(words: unreadable.Words[T], text: Json) -> T | None:
    """What a choice means; nothing where none is made."""
    return value(words.column, partial(looked_up, words), text) if text else None


def looked_up(words: Mapping[str, T], text: Json) -> T:
    """What a choice means. One that is not known is told of as it is written."""
    return words[plain if (plain := word(text)) in words else text]


def word(text: Json) -> str:
    """A choice as it is compared: instances write them in capitals, with spaces or hyphens."""
    plain = str(text or "").strip().lower().replace(" ", "_")
    return plain[:1] + plain[1:].replace("-", "_")  # a number may be below zero
