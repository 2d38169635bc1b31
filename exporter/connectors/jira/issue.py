"""A Jira issue with its history and its comments, before it is said what it means: who did what to it, and when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from exporter.connectors.jira.options import Options
from exporter.records import HandledBy, Json, bounded, instant
from exporter.records.unreadable import Unreadable, Words, value

MILLISECONDS = 1e11  # a larger number of seconds since 1970 is one of milliseconds

DONE = Words(  # is it over? Names of statuses are anybody's, their categories are Jira's
    "outcome",
    {"new": False, "indeterminate": False, "undefined": False, "done": True},
)
T = TypeVar("T")
Role = str
"""Whose act something is: staff, bot or asker."""
ROLE = Words[Role]("handled_by", {"atlassian": "staff", "app": "bot", "customer": "asker", "unknown": "staff"})
WATCHED = ("status", "resolution", "assignee", "issuetype")


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What ids and names mean on one site."""

    api: str
    web: str
    projects: Sequence[str]  # keys of those that are read
    statuses: Mapping[str, Sequence[str]]  # id -> name and key of the category
    types: Mapping[str, Sequence[str]]  # type of a custom field -> ids of the fields of this type
    names: Mapping[str, Sequence[str]]  # id of a custom field -> its names: the account's, and the English one

    @property
    def cloud(self) -> bool:
        return self.api.endswith("/3")

    def category(self, status: str) -> str | None:
        """The key of a status's category; None of one that the site no longer has."""
        return self.statuses.get(status, (None, None))[1]

    def ids(self, names: Iterable[str]) -> list[str]:
        """The custom fields that have one of these names, or ids."""
        wanted = set(names)
        return [key for key, its in self.names.items() if wanted.intersection((key, *its))]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one field of an issue: by whom, from which id to which, and the name of the latter."""

    at: datetime
    who: Role | None
    field: str
    old: str
    new: str
    name: str


@dataclass(frozen=True, slots=True)
class Said:
    """A comment. `public`: can its requester read it? None: the platform does not tell."""

    at: datetime
    who: Role | None
    public: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """An issue as its records need it. `steps` or `said` are None where they could not be read."""

    item: Json
    fields: Json  # custom ones also by name
    site: Site
    options: Options
    done: bool
    opened_at: datetime | None
    ended_at: datetime | None
    steps: Sequence[Step] | None
    said: Sequence[Said] | None

    @property
    def handled_by(self) -> HandledBy | None:
        """Who did the work: people by any act; a bot by speaking before they were done, or by ending what nobody
        answered. To close what a person has answered is no work. None: nobody yet, or it is not known."""
        if self.steps is None or self.said is None:
            return None
        acts: list[Step | Said] = [*self.steps, *self.said]
        people = [each.at for each in acts if each.who == "staff"]
        spoke = [each.at for each in self.said if each.who == "bot" and each.public is not False]
        ends = [step for step in self.steps if ends_it(self.site, step)]
        ended = bool(ends) and ends[-1].who == "bot"
        if not people:
            return "automation" if spoke or ended else None
        answered = any(each.who == "staff" and each.public is not False for each in self.said)
        return "assisted" if (ended and not answered) or (spoke and spoke[0] < max(people)) else "human"

    @property
    def answers(self) -> Sequence[Said] | None:
        """What its requester was told; None where that is not known."""
        if self.said is None or any(each.public is None for each in self.said):
            return None
        return [each for each in self.said if each.public and each.who in ("staff", "bot")]


def described(site: Site, fields: Json) -> Json:
    """The fields, those that have a value also by name."""
    given = {key: names for key, names in site.names.items() if fields.get(key) is not None}
    return {**{name: fields[key] for key, names in given.items() for name in names}, **fields}


def understood(site: Site, options: Options, item: Json) -> Issue:
    fields = item["fields"]
    status, category = fields["status"], fields["status"]["statusCategory"]["key"]
    site = replace(site, statuses={**site.statuses, status["id"]: (status["name"], category)})
    done = DONE[category]
    steps = value("reopen_count", partial(steps_of, site, options, fields), item["histories"])
    return Issue(
        item=item,
        fields=fields,
        site=site,
        options=options,
        done=done,
        opened_at=value("opened_at", instant, fields["created"]),
        ended_at=value("resolved_at", partial(ended_at, site, steps or ()), fields) if done else None,
        steps=steps,
        said=value("replies", partial(said_of, options, fields), fields.get("comment")),
    )


def lowered(*tables: Mapping[str, T]) -> dict[str, T]:
    """One table; a later one wins."""
    return {name.lower(): ours for table in tables for name, ours in table.items()}


def account(who: Json) -> str | None:
    """What an account is called for good. Data Center has no account ids."""
    return (who.get("accountId") or who.get("key") or who.get("name")) if who else None


def role(options: Options, fields: Json, who: Json) -> Role | None:
    """Whose act it is. Who asked and has it assigned does the work, too. Data Center tells of no type of account."""
    if not who:
        return None
    if {account(who), who.get("name"), who.get("displayName")} & set(options.bots):
        return "bot"
    asker, assignee = (account((fields or {}).get(name)) for name in ("reporter", "assignee"))
    if account(who) == asker != assignee:
        return ROLE["customer"]
    return ROLE[who.get("accountType", "atlassian")]


def moment(given: Json) -> datetime | None:
    """A time as Jira writes it: as a text, as a number, or as both."""
    if isinstance(given, dict):
        given = given["epochMillis"]
    if isinstance(given, int | float):
        seconds = given / 1000 if given > MILLISECONDS else given
        return bounded(datetime.fromtimestamp(seconds, UTC), given)
    return instant(given)


def placed(given: Json) -> datetime:
    """A time without which nothing can be said of what it is of."""
    at = moment(given)
    if at is None:
        raise Unreadable("missing", "a time is missing")
    return at


def steps_of(site: Site, options: Options, fields: Json, histories: Json) -> list[Step] | None:
    if histories is None:
        return None
    watched = {*WATCHED, *site.ids(options.escalation_fields), *options.escalation_fields}
    found = [
        (
            placed(history["created"]),
            int(history["id"]),
            history.get("author"),
            field_of(item),
            item,
        )
        for history in histories
        for item in history["items"]
    ]
    return [
        Step(at, role(options, fields, who), field, *(item.get(name) or "" for name in ("from", "to", "toString")))
        for at, _, who, field, item in sorted(found, key=lambda each: each[:2])
        if field in watched
    ]


def field_of(item: Json) -> str:
    """Which field was changed: its id; old changes, and those of Data Center, have its name only."""
    return str(item.get("fieldId") or item["field"])


def said_of(options: Options, fields: Json, given: Json) -> list[Said] | None:
    """The comments, where all are there. Only Cloud tells of a service project which of them its customers see."""
    if given is None or given["total"] > len(given["comments"]):
        return None
    service = fields["project"].get("projectTypeKey") == "service_desk"
    found = [
        Said(
            placed(each["created"]),
            role(options, fields, each.get("author")),
            each.get("jsdPublic", None if service else True),
        )
        for each in given["comments"]
    ]
    return sorted(found, key=lambda each: each.at)


def ends_it(site: Site, step: Step) -> bool:
    return step.field == "status" and site.category(step.new) == "done" != site.category(step.old)


def reopens_it(site: Site, step: Step) -> bool:
    return (
        step.field == "status" and site.category(step.old) == "done" and site.category(step.new) not in ("done", None)
    )


def enters(issue: Issue, step: Step, statuses: Iterable[str]) -> bool:
    """Whether it comes into one of these statuses, by its name now or then."""
    names = {step.name, issue.site.statuses.get(step.new, ("",))[0]}
    return step.field == "status" and any(name.lower() in lowered(dict.fromkeys(statuses)) for name in names if name)


def ended_at(site: Site, steps: Sequence[Step], fields: Json) -> datetime | None:
    """When it came to its end for the last time. A resolution may be missing, or be of an end before."""
    ends = [step.at for step in steps if ends_it(site, step)]
    resolved = instant(fields.get("resolutiondate"))
    return max((*ends, *([resolved] if resolved else [])), default=None) or instant(
        fields.get("statuscategorychangedate")
    )


def of_type(issue: Issue, kind: str) -> dict[str, Json]:
    """The values of the custom fields of a type, by id."""
    return {key: given for key in issue.site.types.get(kind, ()) if (given := issue.fields.get(key)) is not None}
