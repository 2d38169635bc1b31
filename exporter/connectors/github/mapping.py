"""GitHub: what its workflow runs, deployments and workflows mean. Pure; the modules beside it ask for them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from exporter.records import Change, ChangeResult, ExceptionKind, Json, Read, Run, RunStatus, Workflow, instant
from exporter.records.unreadable import ODD, Words, value

STATUS = Words[RunStatus](
    "status",
    {
        "requested": "waiting",
        "queued": "waiting",
        "pending": "waiting",
        "waiting": "waiting",
        "in_progress": "running",
    },
)
CONCLUSION = Words[RunStatus](  # of what is completed
    "status",
    {
        "success": "succeeded",
        "neutral": "succeeded",
        "failure": "failed",
        "timed_out": "failed",
        "startup_failure": "failed",
        "cancelled": "cancelled",
        "skipped": "cancelled",
        "stale": "abandoned",
        "action_required": "waiting",
    },
)
HELD = ("waiting", "action_required")  # these wait for a person to approve, over night or over a holiday
RESULT = Words[ChangeResult](  # of the states of a deployment
    "result",
    {
        "success": "succeeded",
        "failure": "failed",
        "error": "failed",
        "inactive": "cancelled",  # another took its place; where it had succeeded before, that counts
        "queued": "pending",
        "pending": "pending",
        "waiting": "pending",
        "in_progress": "pending",
    },
)
ENABLED = Words(
    "enabled",
    {
        "active": True,
        "deleted": False,
        "disabled_fork": False,
        "disabled_inactivity": False,
        "disabled_manually": False,
    },
)
PERSON = Words("human_override", {"User": True, "Bot": False})  # is an account a person's?
EXCEPTION: Mapping[RunStatus, ExceptionKind] = {"succeeded": "none", "failed": "application", "cancelled": "none"}
MOST_ATTEMPTS = 100  # GitHub runs nothing again more than fifty times
LONGEST_APPROVAL = timedelta(days=30)  # then GitHub itself fails what nobody has approved


def run(item: Json, about: Json, names: Mapping[str, str], *, held_times_out: bool, last: bool, next_at: Json) -> Read:
    """An attempt of a workflow run as a Run. `last`: the one that lists show; `next_at`: when the one after began."""
    word = item["conclusion"] if item["status"] == "completed" else item["status"]
    status = (CONCLUSION if item["status"] == "completed" else STATUS)[word]
    attempt, ended, by = attempt_of(item), is_ended(item), item.get("triggering_actor") or {}
    begun_at = value("started_at", instant, item.get("run_started_at") or item["created_at"])
    # What waits for a person has all the time in the world; what it is told of it begins when it goes on.
    waits = held_times_out or word not in HELD
    name = names.get(str(item["workflow_id"])) or called(item.get("path"))
    link = f"{about['html_url']}/actions/runs/{item['id']}"
    record = Run(
        id=str(item["id"]) if last else f"{item['id']}/{attempt}",
        url=link if last else f"{link}/attempts/{attempt}",
        updated_at=value("updated_at", instant, item.get("updated_at")),
        workflow=f"{about['full_name']}/{name}",
        root_id=str(item["id"]),
        attempt=attempt,
        # Of what has begun it is not told how long it waited for a runner: the run "starts" when it is created.
        queued_at=begun_at if status == "waiting" and waits else None,
        started_at=None if status == "waiting" else begun_at,
        finished_at=value("finished_at", lambda at: end(at, next_at), item["updated_at"]) if ended else None,
        status=status,
        exception=EXCEPTION.get(status),
        human_override=attempt > 1 and value("human_override", is_person, by.get("type")),
        trigger=item.get("event"),
    )
    return Read(record, {**item, "repository": about, "workflow_name": name})


def is_person(kind: Json) -> bool | None:
    """Whether an account of this type is a person's; it has none where it was deleted."""
    return PERSON[kind] if kind else None


def is_ended(item: Json) -> bool:
    """Whether nothing more comes of this attempt."""
    return bool(item.get("status") == "completed" and item.get("conclusion") not in HELD)


def attempt_of(item: Json) -> int:
    """The number of the attempt that an item is; GitHub Enterprise Server of old does not tell it."""
    number = item.get("run_attempt")
    return int(number) if number in range(2, MOST_ATTEMPTS) else 1


def end(updated_at: Json, next_at: Json) -> datetime | None:
    """When an attempt ended: when it was last changed, but before the next began."""
    known = [each for each in (instant(updated_at), instant(next_at)) if each]
    return min(known, default=None)


def called(path: Json) -> str:
    """A workflow by its file: `ci.yml` for `.github/workflows/ci.yml@main`."""
    return str(path).partition("@")[0].rpartition("/")[2]


def named(items: Sequence[Json]) -> dict[str, str]:
    """Workflows by id and how they are called: by their file where they have no name, or share it with another."""
    times, names = Counter(str(item.get("name")) for item in items), dict[str, str]()
    for item in items:
        name, path = item.get("name"), item.get("path")
        own = name and name != path and times[str(name)] == 1
        names[str(item["id"])] = str(name) if own else called(path)
    return names


def workflow(item: Json, about: Json, names: Mapping[str, str]) -> Read:
    """A workflow of a repository."""
    key, path = str(item["id"]), str(item.get("path"))
    record = Workflow(
        id=key,
        url=f"{about['html_url']}/actions/workflows/{called(path)}",
        updated_at=value("updated_at", instant, item.get("updated_at")),
        name=f"{about['full_name']}/{names[key]}",
        enabled=value("enabled", ENABLED.__getitem__, item["state"]),
        exportable=path.startswith(".github/"),  # it is a file; the others are made by GitHub
    )
    return Read(record, {**item, "repository": about, "workflow_name": names[key]})


class Outcome(NamedTuple):
    """How a deployment stands, and since when: the time at which it was deployed, where it was."""

    result: ChangeResult
    at: datetime | None
    status: Json  # the one that says so

    @property
    def deployed_at(self) -> datetime | None:
        return self.at if self.result in ("succeeded", "failed") else None


def outcome(item: Json, statuses: Sequence[Json], now: datetime) -> Outcome:
    """What its statuses make of a deployment. Deployed is what succeeded first or, where it failed, failed last."""
    told = sorted(statuses, key=lambda status: (str(status["created_at"]), int(status["id"])))
    results = [(RESULT[status["state"]], instant(status["created_at"]), status) for status in told]
    decisive = [each for each in results if each[0] in ("succeeded", "failed")]
    if decisive and decisive[-1][0] == "succeeded":
        return Outcome(*next(each for each in decisive if each[0] == "succeeded"))
    if decisive:
        return Outcome(*decisive[-1])
    last: ChangeResult = results[-1][0] if results else "pending"
    requested_at = instant(item["created_at"])
    if requested_at and now - requested_at > LONGEST_APPROVAL:
        last = "cancelled"
    return Outcome(last, None, told[-1] if told else None)


class Commits(NamedTuple):
    """What a deployment brought: when work on it began, and whether it only brought back what had been there."""

    first_at: datetime | None = None
    back: bool = False


def commits(compared: Json) -> Commits:
    """What is in a comparison of what was deployed before with what is now."""
    written = []
    for each in compared["commits"]:
        with suppress(*ODD):  # it is their clock that wrote it
            written.append(instant(each["commit"]["author"]["date"]))
    return Commits(min((each for each in written if each), default=None), compared["status"] == "behind")


def change(item: Json, how: Outcome, brought: Commits, about: Json) -> Read:
    """A deployment as a Change."""
    app, creator = item.get("performed_via_github_app"), item.get("creator") or {}
    record = Change(
        id=str(item["id"]),
        reference=item["sha"],
        url=log((how.status or {}).get("log_url"), about),
        updated_at=value("updated_at", instant, item.get("updated_at")),
        requested_at=instant(item["created_at"]),
        first_commit_at=brought.first_at,
        deployed_at=how.deployed_at,
        result="rolled_back" if brought.back and how.result == "succeeded" else how.result,
        service=about["name"],
        environment=item["environment"],
        kind="deployment",
        automated=True if app else value("automated", is_machine, creator.get("type")),
    )
    return Read(record, {**item, "repository": about, "status": how.status})


def is_machine(kind: Json) -> bool | None:
    """Whether an account of this type is a machine's."""
    return None if (person := is_person(kind)) is None else not person


def log(link: Json, about: Json) -> str:
    """Where people look at a deployment: its log on GitHub, or else the list of all."""
    inside = isinstance(link, str) and link.startswith(f"{about['html_url']}/")
    return str(link) if inside else f"{about['html_url']}/deployments"
