"""Jira and Jira Service Management, Cloud and Data Center: an issue is a request, an incident, or a change.

API      REST 3 of Cloud, REST 2 of Data Center 8.14 and later: the site says which. Cloud: basic auth, the account's
         mail address and an API token, at https://SITE.atlassian.net; a token with scopes, of a service account or of
         OAuth only at https://api.atlassian.com/ex/jira/CLOUD_ID (see SITE.atlassian.net/_edge/tenant_info). Data
         Center: a personal access token, or basic auth.
Access   An account of its own with Browse Projects in the projects that are read, and in their role Service Desk Team
         (an agent's licence): others see neither internal comments nor deadlines. Its API token: id.atlassian.com >
         Security > API tokens; it ends after a year at most. Scopes: read:jira-work and read:jira-user. In Data Center:
         Profile > Personal Access Tokens.
Polls    Every hour what the site calls things. Issues in the order of their last change, back over the newest known,
         and for each page of them their histories in one request (Data Center sends them along); the comments of an
         issue that came without all of them. Every hour issues that were rated. Twice a day the ids of all that were
         opened in the last 200 days. A quiet poll is two requests.
Cursor   updated: the last change stored, never later than the poll. seen: the issues last changed, with when they were
         created and changed. projects: those read. rated: when ratings were looked for. owed: issues whose history or
         comments could not be read. While a poll is under way: place, how far it is; newest, what becomes `seen`.
Blind    Conversations with the virtual agent that became no issue. Escalations, where the site calls them otherwise
         than the options do. Who acts in a rule that runs as a person, unless `bots` names the account. That a rule's
         first reply is only a receipt. Comments that were deleted. Deadlines missed by an open issue, until it next
         changes, and deadlines computed again. That an issue was deleted, archived or moved out of sight, until several
         lists of ids have missed it. Time nobody logged. Time on hold of an open issue, or where statuses are changed
         without a trace. Sentiment. Data Center: whether a comment is internal, and so replies; channels; which
         accounts are customers' or apps'.
Checked  Cloud's published description; a fake that asks for as much. Data Center: a fake. What satisfaction and
         approvals look like among an issue's fields is not published: read as a number or an object with `rating`, and
         as the approvals of the request.
"""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.http import Answer, AuthFailed, Client, NotUnderstood, SourceError
from exporter.collect.recent import WITNESSES, still_there
from exporter.collect.sweep import swept
from exporter.connectors.jira.check import check as check
from exporter.connectors.jira.issue import WATCHED, Site, field_of
from exporter.connectors.jira.mapping import CHANNEL_PROPERTY, FEEDBACK_DATE, records
from exporter.connectors.jira.options import MOST_FIELDS
from exporter.connectors.jira.options import Options as Options
from exporter.connectors.jira.site import among, by_number, known, whole
from exporter.records import Change, Incident, Json, Read, Record, Request, instant
from exporter.records.unreadable import ODD

RECORDS = (Request, Incident, Change)
AUTH = Scheme(token_url="https://auth.atlassian.com/oauth/token", body="json")  # noqa: S106 - an address
NOUN = "issue"
MOST_SEEN = 1000
MOST_HISTORIES = 1000  # in one answer; one issue may go on in the next
RATED_EVERY = timedelta(hours=1)  # a rating need not change its issue
SWEPT_EVERY, SWEPT_BACK = timedelta(hours=12), timedelta(days=200)


def judge(answer: Answer) -> SourceError | None:
    """A refusal in Jira's own words."""
    said = answer.find("errorMessages")
    if answer.status == 401 and "scope" in str(answer.find("message")):
        return answer.forbidden("the token lacks a scope")
    if answer.status == 401 and answer.where.endswith("/myself"):
        return AuthFailed(
            f"{answer.where}: HTTP 401: the credential is refused; a token that has scopes is good only at"
            " https://api.atlassian.com/ex/jira/CLOUD_ID"
        )
    if answer.status == 403 and "X-Authentication-Denied-Reason" in answer.headers:
        return answer.forbidden("after failed log-ins Jira wants a captcha; log in once in the browser")
    if answer.status == 400 and said and answer.where.rpartition("/")[2] in ("jql", "search"):
        return answer.not_understood("the search is refused; does the account see every project that is named?")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    site = await known(client, options)
    issues = Issues(client, site, options, Details(client, cursor.get("owed", {})))
    async for page in issues.changed(cursor):
        yield page
    rated = instant(cursor.get("rated"))
    if rated and not rated <= client.at < rated + RATED_EVERY:
        async for page in issues.rated(rated, issues.marks | {"rated": cursor["rated"]}):
            yield page
        rated = client.at
    reads, gone = await issues.again()
    marks = issues.marks | {"rated": (rated or client.at).isoformat(), "owed": issues.details.to_cursor()}
    yield Page(reads, marks, gone)
    of = {Request: "opened_at", Incident: "opened_at", Change: "requested_at"}
    listed, parts = issues.ids, site.projects
    async for page in swept(client, marks, of, listed, every=SWEPT_EVERY, back=SWEPT_BACK, parts=parts):
        yield page


Stamp = Sequence[str]
"""When an issue was created and changed."""


class Issues:
    """The issues of one poll: which are read, and what the cursor is to hold of them."""

    # Whatever a config may map, but for what is long and means nothing to it.
    FIELDS = ("*all", "-description", "-environment", "-attachment", "-worklog", "-subtasks", "-watches", "-votes")

    def __init__(self, client: Client, site: Site, options: Options, details: Details) -> None:
        self.client, self.site, self.options, self.details = client, site, options, details
        self.marks: Json = {}

    async def changed(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Those that changed since the last poll. One that changes meanwhile moves to the end: it comes twice."""
        client, seen, place = self.client, cursor.get("seen", {}), instant(cursor.get("place"))
        resumed, newest, found = place is not None, dict(cursor.get("newest", {}) if place else {}), dict[str, str]()
        async for page in self.search(self.condition(cursor), begin=place):
            stamps = {item["id"]: its for item in page.items if (its := stamp(item))}
            fresh = [
                each for each in page.items if not named(each) or seen.get(each["id"]) != stamps.get(each["id"], 0)
            ]
            reads, gone = await self.reads(fresh)
            found |= {key: its[0] for key, its in stamps.items() if key in seen}
            if stamps:
                # A clock that is ahead must not carry the mark away: what changes until then would never be read.
                place = min(max(instant(its[1]) or client.at for its in stamps.values()), client.at)
                newest = self.newest({**newest, **stamps}, place)
            under_way = {"place": place and place.isoformat(), "newest": newest, "owed": self.details.to_cursor()}
            yield Page(reads, {**cursor, **under_way}, gone)
        if not resumed:
            still_there({key: seen[key][0] for key in latest(seen)[-WITNESSES:]}, found, "issues", {})
        updated = place.isoformat() if place else cursor.get("updated")
        self.marks = {"updated": updated, "seen": newest or seen, "projects": [*self.site.projects]}

    def condition(self, cursor: Cursor) -> str:
        """What finds them: of projects that have been read what changed since, of others the history."""
        seen, marked = cursor.get("seen", {}), instant(cursor.get("updated"))
        before = [each for each in self.site.projects if marked and each in cursor.get("projects", ())]
        new = [each for each in self.site.projects if each not in before]
        parts = []
        if marked and before:
            floors = [instant(seen[key][1]) for key in latest(seen)[-WITNESSES:]]
            floor = min(each for each in (marked - self.overlap, *floors) if each)
            parts.append(f"{among(before)} AND updated >= {milliseconds(floor)}")
        if new:
            wanted = f"updated >= {milliseconds(self.client.since)} OR statusCategory != done"
            parts.append(f"{among(new)} AND ({wanted})")
        return " OR ".join(f"({part})" for part in parts)

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.options.overlap_seconds)

    def newest(self, stamps: Mapping[str, Stamp], place: datetime) -> dict[str, Stamp]:
        """Those of the overlap, as many as is sensible, and however old a few to know the site by."""
        kept, floor = latest(stamps)[-MOST_SEEN:], place - self.overlap
        few = set(kept[-WITNESSES:])
        return {key: stamps[key] for key in kept if key in few or (instant(stamps[key][1]) or floor) >= floor}

    async def rated(self, since: datetime, marks: Cursor) -> AsyncIterator[Page]:
        """Those that were rated since: that does not change an issue."""
        fields = [each.removeprefix("customfield_") for each in self.site.types.get(FEEDBACK_DATE, ())]
        hours = int(abs(self.client.at - since) / timedelta(hours=1)) + 2
        condition = " OR ".join(f"cf[{field}] >= -{hours}h" for field in fields)
        if not condition:
            return
        try:
            async for page in self.search(f"{among(self.site.projects)} AND ({condition})"):
                reads, gone = await self.reads(page.items)
                yield Page(reads, {**marks, "owed": self.details.to_cursor()}, gone)
        except NotUnderstood as error:
            if error.status != 400:
                raise
            self.client.lacking["satisfaction_date"] = str(error)  # it is not indexed

    async def again(self) -> tuple[list[Read], list[tuple[type[Record], str]]]:
        """Those of which something could not be read before. What is not there any more, a sweep will miss."""
        keys = [key for key in self.details.again if key in self.details.owed and self.details.may(key)]
        if not keys or not self.site.cloud:  # Data Center sends all at once
            return [], []
        asked = {"issueIdsOrKeys": keys, "fields": self.FIELDS, "properties": [CHANNEL_PROPERTY]}
        answer = await self.client.ask(f"{self.site.api}/issue/bulkfetch", json=asked)
        items, errors = answer.listed("issues"), answer.find("issueErrors") or ()
        failed = {each.get("id") for each in errors if isinstance(each, dict)}
        self.details.settle(set(keys) - failed - {item["id"] for item in items if named(item)})
        self.details.owe(key for key in keys if key in failed)
        return await self.reads(items)

    async def ids(self, since: datetime | None, place: Json) -> AsyncIterator[tuple[Sequence[str], Json]]:
        """All that there are, for a sweep."""
        condition = among(self.site.projects) + (f" AND created >= {milliseconds(since)}" if since else "")
        cloud = self.site.cloud
        begin, token, size = (None, place, 5000) if cloud else (instant(place), None, 1000)  # for nothing else is asked
        async for page in self.search(condition, "created", begin=begin, token=token, fields=["created"], size=size):
            last = (
                page.find("nextPageToken")
                if cloud
                else None
                if whole(page) or not page.items
                else created(page.items[-1])
            )
            yield [item["id"] for item in page.items if named(item)], last

    async def search(
        self,
        condition: str,
        by: str = "updated",
        *,
        begin: datetime | None = None,
        token: str | None = None,
        fields: Sequence[str] | None = None,
        size: int = 0,
    ) -> AsyncIterator[Answer]:
        """Pages of what is found, oldest first: on Cloud from a token on, on Data Center from the last time on."""
        site, client = self.site, self.client

        def jql(begin: datetime | None) -> str:
            bound = f" AND {by} >= {milliseconds(begin)}" if begin else ""
            return f"({condition}){bound} ORDER BY {by} ASC"

        def ask(place: datetime | None, offset: int, size: int) -> Awaitable[Answer]:
            question = {"jql": jql(place), "startAt": offset, "maxResults": size, "fields": fields or self.FIELDS}
            more = {"expand": ["changelog"]} if fields is None else {}
            return client.ask(f"{site.api}/search", json={**question, **more})

        def key(item: Json) -> datetime | None:
            with suppress(*ODD):  # the index of Data Center is in order of whole seconds
                return (instant(item["fields"][by]) or client.at).replace(microsecond=0)
            return None

        size = size or self.options.page_size
        if site.cloud:
            question = {"jql": jql(begin), "fields": fields or self.FIELDS}
            question |= {"properties": [CHANNEL_PROPERTY]} if fields is None else {}
            question |= {"nextPageToken": token} if token else {}
            path, place = f"{site.api}/search/jql", "nextPageToken"
            pages = paging.by_token(
                client,
                path,
                json=question,
                items="issues",
                next_in=place,
                next_as=place,
                size=size,
                size_as="maxResults",
            )
        else:
            start = begin and begin.replace(microsecond=0)
            pages = paging.by_key(client, ask, items="issues", key=key, begin=start, size=size, last=whole)
        async for page in pages:
            yield page

    async def reads(self, items: Sequence[Json]) -> tuple[list[Read], list[tuple[type[Record], str]]]:
        """Issues as records, with their histories and all their comments; and what they no longer are."""
        ours = {item["id"]: item for item in items if named(item)}
        histories = await self.histories(ours)
        cut = [key for key, item in ours.items() if key in histories and comments_missing(item)]
        comments = await self.details.ask(cut, self.comments)
        well = histories.keys() - (set(cut) - comments.keys())
        self.details.settle(well)
        self.details.owe(key for key in ours if key not in well and self.details.may(key))
        told = [
            {
                **item,
                "histories": histories.get(item["id"]),
                "fields": {**item["fields"], **comments.get(item["id"], {})},
            }
            if named(item)
            else item
            for item in items
        ]
        reads = await self.client.mapped(told, partial(records, self.site, self.options))
        made = {(type(read.record), read.record.id) for read in reads}
        other = [key for key, its in histories.items() if retyped(its)]
        return reads, [(kind, key) for key in other for kind in RECORDS if (kind, key) not in made]

    async def histories(self, ours: Mapping[str, Json]) -> dict[str, list[Json]]:
        """What was changed of them, where that could be read."""
        if not self.site.cloud:
            sent = {key: item.get("changelog") for key, item in ours.items()}
            return {key: its["histories"] for key, its in sent.items() if isinstance(its, dict) and "histories" in its}
        fields = [*WATCHED, *self.site.ids(self.options.escalation_fields)[: MOST_FIELDS - len(WATCHED)]]

        async def question(keys: Sequence[str]) -> list[Json]:
            asked = {"issueIdsOrKeys": keys, "fieldIds": fields}
            path, place = f"{self.site.api}/changelog/bulkfetch", "nextPageToken"
            pages = paging.by_token(
                self.client, path, json=asked, items="issueChangeLogs", next_in=place, next_as=place,
                size=MOST_HISTORIES, size_as="maxResults",
            )  # fmt: skip
            return [(str(each["issueId"]), [*each["changeHistories"]]) async for page in pages for each in page.items]

        asked = [key for key in ours if self.details.may(key)]
        found, failed = await self.details.several(asked, question)
        histories: dict[str, list[Json]] = {key: [] for key in asked if key not in failed}
        for key, changes in found:
            if key in histories:
                histories[key] += changes
        return histories

    async def comments(self, key: str) -> Json:
        """All comments of an issue, as they stand among its fields."""
        path = f"{self.site.api}/issue/{key}/comment"
        pages = by_number(self.client, path, items="comments", size=self.options.page_size)
        found = [comment async for page in pages for comment in page.items]
        return {"comment": {"comments": found, "total": len(found)}}


def named(item: Json) -> bool:
    """Can books be kept on this issue? One that cannot is left out, and told of, where it is mapped."""
    return isinstance(item, dict) and isinstance(item.get("id"), str) and isinstance(item.get("fields"), dict)


def stamp(item: Json) -> Stamp | None:
    """When it was created and changed. Jira writes times in the time zone of the account, which may be set anew."""
    with suppress(*ODD):
        updated = instant(item["fields"]["updated"])
        if named(item) and updated:
            return [created(item) or "", updated.isoformat()]
    return None


def created(item: Json) -> str | None:
    with suppress(*ODD):
        at = instant(item["fields"]["created"])
        return at.isoformat() if at else None
    return None


def latest(stamps: Mapping[str, Stamp]) -> list[str]:
    """Their ids, what was changed last at the end."""
    return sorted(stamps, key=lambda key: (stamps[key][1], key))


def comments_missing(item: Json) -> bool:
    with suppress(*ODD):
        given = item["fields"]["comment"]
        return bool(given["total"] > len(given["comments"]))
    return False


def retyped(histories: Sequence[Json]) -> bool:
    """Has it been of another type before?"""
    with suppress(*ODD):
        return any(field_of(change) == "issuetype" for each in histories for change in each["items"])
    return False


def milliseconds(at: datetime) -> int:
    """A time as a search takes it: a text would be read in the time zone of the account."""
    return int(at.timestamp() * 1000)
