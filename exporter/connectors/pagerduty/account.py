"""PagerDuty: how the lists of an account are asked for, and single incidents."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import quote

from exporter.collect import paging
from exporter.collect.http import Answer, Client, Gone, NotUnderstood
from exporter.collect.query import Query, Scalar
from exporter.connectors.pagerduty.mapping import RESOLVED, Entry, entry
from exporter.connectors.pagerduty.options import Options
from exporter.records import Json, instant

WALL = 10_000  # of a list: a page that would end beyond it is refused
LONGEST = timedelta(days=150)  # six months at most
BORDER = timedelta(seconds=1)  # whether both ends of a window are part of it is not published
OPEN = [word for word, over in RESOLVED.items() if not over]
INCLUDES = {
    "service": "services",
    "teams": "teams",
    "escalation_policy": "escalation_policies",
    "priority": "priorities",
    "first_trigger_log_entry": "first_trigger_log_entries",
    "assignments": "assignees",
    "acknowledgements": "acknowledgers",
    "last_status_change_by": "agents",
    "conference_bridge": "conference_bridge",
}
"""Fields of an incident that are references unless more is asked for, and what that is called."""
REFERENCE = {"id", "summary"}  # what is sent anyway
CUSTOM = "custom_fields"  # sent only with a single incident

Log = dict[str, dict[str, Entry]]
"""Entries of the log, by incident and by their own id."""


class Account:
    """One account, as far as the credential and the options reach."""

    def __init__(self, client: Client, options: Options) -> None:
        self.client, self.options = client, options
        which = [each.field for each in (*options.requests, *options.not_incidents)]
        paths = [path.split(".") for path in (*client.paths, *which)]
        deep = [path for path in paths if not REFERENCE.issuperset(part for part in path[1:] if not part.isdecimal())]
        self.includes = sorted({INCLUDES[path[0]] for path in deep if path[0] in INCLUDES})
        self.custom = any(path[0] == CUSTOM for path in paths)

    def incidents(self, begin: datetime, end: datetime, **more: Sequence[str]) -> AsyncGenerator[Answer]:
        """Those created in a window, in order of that."""
        return self._listed("/incidents", "incidents", {**self._by_age, **between(begin, end), **more})

    async def opened(self) -> AsyncIterator[Answer]:
        """All that are open, however old; in windows where a list cannot show them all."""
        asked = {"statuses[]": OPEN}
        async for answer in self._listed("/incidents", "incidents", {**self._by_age, **asked, "date_range": "all"}):
            if (total(answer) or 0) < self.most:
                yield answer
                continue
            oldest = instant(answer.items[0]["created_at"]) or self.client.since

            def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
                return self.incidents(begin, end, **asked)

            async for part in self.windows(oldest, self.client.at, ask):
                yield part
            return

    async def log(self, begin: datetime, end: datetime) -> Log:
        """The log of a window."""

        def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
            return self._listed("/log_entries", "log_entries", {**between(begin, end), "is_overview": "true"})

        log: Log = {}
        async for answer in self.windows(begin, end, ask):
            for raw in answer.items:
                if each := self._entry(raw):
                    log.setdefault(each.incident, {})[each.id] = each
        return log

    async def incident(self, key: str) -> Json:
        """A single incident; None where there is no such any more."""
        includes = [*self.includes, *([CUSTOM] if self.custom else [])]
        with suppress(Gone):
            answer = await self.client.ask(f"/incidents/{quote(key)}", {"include[]": includes} if includes else None)
            if not named(found := answer.find("incident")):
                raise NotUnderstood(f"{answer.where}: the answer contains no incident")
            return found
        return None

    async def log_of(self, key: str) -> dict[str, Entry]:
        """The log of a single incident."""
        path, asked = f"/incidents/{quote(key)}/log_entries", {"time_zone": "UTC", "is_overview": "true"}
        pages = paging.by_offset(self.client, path, asked, items="log_entries", size=100, last=is_last)
        return {each.id: each async for page in pages for raw in page.items if (each := self._entry(raw))}

    def windows(
        self, begin: datetime, end: datetime, ask: Callable[[datetime, datetime], AsyncGenerator[Answer]]
    ) -> AsyncIterator[Answer]:
        return paging.windows(self.client, begin, end, ask, self.most, total=total, longest=LONGEST)

    @property
    def most(self) -> int:
        """So many of a list come with whole pages."""
        return WALL // self.options.page_size * self.options.page_size

    @property
    def _by_age(self) -> dict[str, Scalar | Sequence[Scalar]]:
        return {"sort_by": "created_at:asc", **({"include[]": self.includes} if self.includes else {})}

    def _listed(self, path: str, items: str, params: Query) -> AsyncGenerator[Answer]:
        teams = {"team_ids[]": self.options.teams} if self.options.teams else {}
        asked = {"time_zone": "UTC", "total": "true", **teams, **params}
        return paging.by_offset(self.client, path, asked, items=items, size=self.options.page_size, last=is_last)

    def _entry(self, raw: Json) -> Entry | None:
        return self.client.learnt("log_entries", entry, raw)


def between(begin: datetime, end: datetime) -> dict[str, Scalar]:
    return {"since": f"{begin - BORDER:%Y-%m-%dT%H:%M:%SZ}", "until": f"{end:%Y-%m-%dT%H:%M:%SZ}"}


def total(answer: Answer) -> int | None:
    found = answer.find("total")
    return found if isinstance(found, int) else None


def is_last(answer: Answer) -> bool:
    return answer.find("more") is not True


def named(item: Json) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)
