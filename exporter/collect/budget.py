"""Limits on the requests of one account: budgets that a connector declares, and what the platform says is left."""

import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from exporter.base import errors
from exporter.base.deferred import asyncio
from exporter.base.errors import LONGEST_TOLD_SECONDS
from exporter.records import instant

SINGLE = re.compile(r"(?:[a-z]+-)*rate-?limit-(?:[a-z]+-)*(remaining|reset)(?:-[a-z]+)*")
PAIRS = re.compile(r"(?:[a-z]+-)*ratelimit(?:-[a-z]+)*")
PAIR = re.compile(r"\b(remaining|resets?|r|t)=(\d+)")
SHORT = {"r": "remaining", "t": "reset", "resets": "reset"}
COUNT = re.compile(r"[0-9]{1,15}")
EPOCH = 1e9  # a larger number of seconds is a time; a larger one still, in milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a platform counts by itself: requests whose path begins with one of these. BUDGETS of a connector."""

    name: str
    paths: tuple[str, ...]
    requests: int | None = None  # at most, in any time of so many seconds; None: only its answers say
    seconds: float = 60.0


class Pace:
    """Lets the requests of one budget pass, one after the other, and none while it is used up."""

    def __init__(self) -> None:
        self._closed_until = 0.0  # by the loop's clock
        self._turns = deque[float]()  # of the latest requests

    def wait(self) -> float:
        """Seconds for which it is used up."""
        return max(0.0, self._closed_until - asyncio.get_running_loop().time())

    def close(self, seconds: float) -> None:
        """The platform wants to hear nothing for so long."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    async def turn(self, requests: int, seconds: float) -> None:
        """Until the next request may go: so many in any `seconds`, whenever a window of the platform begins."""
        clock = asyncio.get_running_loop().time
        while len(self._turns) > requests:
            self._turns.popleft()
        begin = max(clock(), self._turns[-1] if self._turns else 0.0)
        if len(self._turns) == requests:
            begin = max(begin, self._turns[0] + seconds)
        self._turns.append(begin)
        if begin > clock():
            await asyncio.sleep(begin - clock())


class Left(NamedTuple):
    """How many requests are left of a budget, as far as that is said, and in how many seconds there are new ones."""

    requests: int | None
    seconds: float


def left(headers: Mapping[str, str], at: datetime) -> Left | None:
    """The least that an answer of `at` says is left of any budget; None where it does not say."""
    return min((each for each in said(headers, at) if each.requests is not None), default=None)


def reset_after(headers: Mapping[str, str], at: datetime) -> float | None:
    """Seconds until there are new requests, as a refusal tells it; where it tells of several budgets, of those that
    are used up.
    """
    found = said(headers, at)
    return max((each.seconds for each in [each for each in found if each.requests == 0] or found), default=None)


def said(headers: Mapping[str, str], at: datetime) -> list[Left]:
    """All that an answer says of budgets and when they begin anew.

    There is no standard: x-ratelimit-reset is a time (GitHub, Okta), seconds (Calendly) or a text (Jira), ratelimit-*
    come one by one (PagerDuty) or as pairs in one header (Zendesk, the IETF's draft).
    """
    words = defaultdict[str, dict[str, str]](dict)
    for name, text in headers.items():
        if single := SINGLE.fullmatch(name.lower()):
            words[name.lower().replace(single[1], "")][single[1]] = text.strip()
        elif PAIRS.fullmatch(name.lower()):
            words[name.lower()] = {SHORT.get(word, word): number for word, number in PAIR.findall(text)}
    now, found = clock(headers, at), list[Left]()
    for each in words.values():
        seconds, requests = until(each.get("reset", ""), now), each.get("remaining", "")
        if seconds is not None:
            found.append(Left(int(requests) if COUNT.fullmatch(requests) else None, seconds))
    return found


def clock(headers: Mapping[str, str], at: datetime) -> datetime:
    """The platform's own time of day, where it tells it."""
    try:
        return errors.utc(parsedate_to_datetime(headers["Date"]))
    except (KeyError, ValueError):
        return at


def until(text: str, now: datetime) -> float | None:
    """Seconds until an instant that is told as seconds from now, as a time in seconds or milliseconds, or as a text."""
    try:
        number = float(text)
    except ValueError:
        try:
            then = instant(text)
        except ValueError:
            return None
        return min(max(0.0, (then - now).total_seconds()), LONGEST_TOLD_SECONDS) if then else None
    if number >= EPOCH:
        number = number / (1000 if number >= EPOCH * 1000 else 1) - now.timestamp()
    return min(max(0.0, number), LONGEST_TOLD_SECONDS)


def of(path: str, budgets: Sequence[Budget]) -> Budget | None:
    """The budget that a path belongs to: the one that names most of it."""
    fitting = [(len(start), budget) for budget in budgets for start in budget.paths if path.startswith(start)]
    return max(fitting, key=lambda each: each[0])[1] if fitting else None
