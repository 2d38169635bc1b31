"""UiPath: its folders, with the queues, processes and triggers in them, and which processes work on queue items."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from exporter.collect.http import Client, Forbidden
from exporter.connectors.uipath.mapping import Folder
from exporter.connectors.uipath.rows import of_folder, pages
from exporter.records import Json

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PRIVATE = ("Personal", "DebugSolution")
"""Types of folders that people have for themselves."""
FEW = 10  # items of a queue that are asked which jobs worked on them
AT_ONCE = 50  # keys in one question
NAMED = ("Id", "Key", "Name", "Description", "Tags")
LISTS = {  # what is listed, where, and what is remembered of it
    "queues": ("/odata/QueueDefinitions", (*NAMED, "ReleaseId")),
    "processes": ("/odata/Releases", (*NAMED, "ProcessKey", "ProcessVersion", "ProcessType", "LastModificationTime")),
    "triggers": ("/odata/ProcessSchedules", ("Id", "Enabled", "ReleaseId", "QueueDefinitionId")),
}
FOLDERS = ("Id", "FullyQualifiedName", "DisplayName", "Description", "FolderType")
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Inventory:
    """What there is, as it was read within the last hour."""

    def __init__(self, client: Client, patterns: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.client, self.patterns, self.settings = client, patterns, settings
        self.found: list[Json] = []  # folders, each with what is in it
        self.folders: list[Folder] = []
        self.renewed = False

    async def read(self, *, fresh: bool = False) -> None:
        """Asks for it, or remembers. `fresh`: because something came up that is not in it."""
        self.renewed = self.renewed or fresh
        if fresh:
            self.client.memory["inventory"] = None
        self.found = await self.client.memory.remembered("inventory", HOUR, self._all)
        for about in self.found:
            self.client.lacking |= {
                f"{about['FullyQualifiedName']}, {what}": why for what, why in about["refused"].items()
            }
        working = await self.client.memory.remembered("workers", DAY, self._working)
        self.folders = [self._folder(about, working.get(str(about["Id"]), ())) for about in self.found]

    async def _all(self) -> list[Json]:
        found = await listed(self.client, "/odata/Folders", None, FOLDERS)
        chosen = [each for each in found if is_chosen(each, self.patterns)]
        if not chosen:
            raise Forbidden(
                f"/odata/Folders: of {len(found)} folders none is one of {', '.join(self.patterns)}; assign the"
                " application to the folders, and check their names"
            )
        return [await self._described(each) for each in sorted(chosen, key=lambda each: int(each["Id"]))]

    async def _described(self, folder: Json) -> Json:
        """A folder with what is in it; what may not be read is empty, and named."""
        about, refused = dict(folder), dict[str, str]()
        for what, (path, names) in LISTS.items():
            try:
                about[what] = await listed(self.client, path, folder["Id"], names)
            except Forbidden as error:
                about[what], refused[what] = [], str(error)
        return about | {"refused": refused}

    async def _working(self) -> dict[str, list[str]]:
        """By folder, the names of processes that worked on items of queues that name no process."""
        named = {each["QueueDefinitionId"] for about in self.found for each in about["triggers"]}
        queues = {each["Id"]: (each, about["Id"]) for about in reversed(self.found) for each in about["queues"]}
        # Who did once is not forgotten: what its jobs are must not change from day to day.
        before: Mapping[str, Sequence[str]] = (self.client.memory["workers"] or {}).get("value", {})
        keys, working = set[str](), {key: set(names) for key, names in before.items()}
        for queue, folder in queues.values() if self.settings["jobs"] == "without_queue" else ():
            if not queue["ReleaseId"] and queue["Id"] not in named:
                keys |= await self._executors(folder, queue["Id"])
        for about in self.found:
            for start in range(0, len(keys), AT_ONCE):
                names = await self._processes(about["Id"], sorted(keys)[start : start + AT_ONCE])
                working.setdefault(str(about["Id"]), set()).update(names)
        return {folder: sorted(names) for folder, names in working.items()}

    async def _executors(self, folder: int, queue: int) -> set[str]:
        """The keys of the jobs that worked on the last items of a queue."""
        params: dict[str, str | int] = {
            "$filter": f"QueueDefinitionId eq {queue} and StartProcessing ne null",
            "$orderby": "Id desc",
            "$top": FEW,
            "$select": "Id,ExecutorJobKey",
        }
        with suppress(Forbidden):  # that is told of where all of its items are read
            answer = await self.client.ask("/odata/QueueItems", params, headers=of_folder(folder))
            keys = [row.get("ExecutorJobKey") for row in answer.listed("value") if isinstance(row, dict)]
            return {key for key in keys if isinstance(key, str) and GUID.fullmatch(key)}
        return set()

    async def _processes(self, folder: int, keys: Sequence[str]) -> set[str]:
        """The names of the processes of those jobs that are in a folder."""
        where = " or ".join(f"Key eq {key}" for key in keys)
        with suppress(Forbidden):
            found = [row async for page in pages(self.client, "/odata/Jobs", folder, where) for row in page.items]
            return {str(row.get("ReleaseName")) for row in found if isinstance(row, dict)}
        return set()

    def _folder(self, about: Json, working: Sequence[str]) -> Folder:
        # A queue that several folders share is read in the first of them.
        homes = {each["Id"]: folder["Id"] for folder in reversed(self.found) for each in folder["queues"]}
        triggers = [each for folder in self.found for each in folder["triggers"]]
        associated = {each["ReleaseId"] for folder in self.found for each in folder["queues"]}
        associated |= {each["ReleaseId"] for each in triggers if each["QueueDefinitionId"]}
        names = {each["Name"] for each in about["processes"] if each["Id"] in associated}
        return Folder(
            id=about["Id"],
            name=about["FullyQualifiedName"],
            about={name: about[name] for name in ("DisplayName", "FullyQualifiedName", "Description")},
            web=self.client.url,
            queues={each["Id"]: each for each in about["queues"] if homes[each["Id"]] == about["Id"]},
            elsewhere={each["Id"] for each in about["queues"] if homes[each["Id"]] != about["Id"]},
            processes={each["Name"]: each for each in about["processes"]},
            workers=names | set(working),
            triggers=None if "triggers" in about["refused"] else triggers,
            **self.settings,
        )


async def listed(client: Client, path: str, folder: int | None, names: Sequence[str]) -> list[Json]:
    """All rows of a list, and of each what is remembered."""
    rows = [row async for page in pages(client, path, folder) for row in page.items]
    found = [client.learnt("workflow", partial(kept, names), row) for row in rows]
    return [row for row in found if row is not None]


def kept(names: Sequence[str], row: Json) -> Json:
    """What is remembered of a row; TypeError where it cannot be told from others."""
    about = {name: row.get(name) for name in names}
    ids = [about[name] for name in ("ReleaseId", "QueueDefinitionId") if about.get(name) is not None]
    texts = [about[name] for name in ("Name", "FullyQualifiedName") if name in names]
    if not all(isinstance(each, int) for each in (about["Id"], *ids)) or not all(
        isinstance(each, str) for each in texts
    ):
        raise TypeError
    return about


def is_chosen(folder: Json, patterns: Sequence[str]) -> bool:
    """Whether a folder is read: it is not a person's own, and one of the patterns fits its name."""
    name = str(folder.get("FullyQualifiedName"))
    return folder.get("FolderType") not in PRIVATE and any(fnmatchcase(name, pattern) for pattern in patterns)
