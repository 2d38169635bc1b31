"""A fake UiPath Orchestrator: folders with queues, processes and jobs, that tests add to while it is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aiohttp import web

from exporter.demo.fakes.fault import Handler
from tests.fakes.uipath_odata import BadQueryError, Filter

Row = dict[str, Any]

PATH = "/acme/prod/orchestrator_"
FOLDER = "X-UIPATH-OrganizationUnitId"
PARAMETERS = {"$expand", "$filter", "$select", "$orderby", "$top", "$skip", "$count"}
TOP = {"QueueItems": 100}  # of others 1000
SCOPES = {
    "Folders": "OR.Folders.Read",
    "QueueDefinitions": "OR.Queues.Read",
    "QueueItems": "OR.Queues.Read",
    "Releases": "OR.Execution.Read",
    "ProcessSchedules": "OR.Jobs.Read",
    "Jobs": "OR.Jobs.Read",
}
LIMITED = ("QueueItems", "Jobs")
STATUSES = ("New", "InProgress", "Failed", "Successful", "Abandoned", "Retried", "Deleted")
STATES = (
    *("Pending", "Running", "Stopping", "Terminating", "Faulted", "Successful", "Stopped", "Suspended", "Resumed"),
)
ENUMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # by list and column
    "QueueItems": {
        "Status": STATUSES,
        "ReviewStatus": ("None", "InReview", "Verified", "Retried"),
        "ProcessingExceptionType": ("ApplicationException", "BusinessException"),
    },
    "Jobs": {"State": STATES},
}
COLUMNS = {  # what rows have, as far as it is needed
    "Folders": {"Id", "Key", "DisplayName", "FullyQualifiedName", "Description", "FolderType", "ParentId"},
    "QueueDefinitions": {
        *("Id", "Key", "Name", "Description", "MaxNumberOfRetries", "AcceptAutomaticallyRetry", "RetryAbandonedItems"),
        *("SlaInMinutes", "ReleaseId", "FoldersCount", "Tags"),
    },
    "QueueItems": {
        *("Id", "Key", "UniqueKey", "QueueDefinitionId", "Status", "ReviewStatus", "ReviewerUserId", "Reference"),
        *("ProcessingExceptionType", "ProcessingException", "Priority", "DueDate", "RiskSlaDate", "DeferDate"),
        *("StartProcessing", "EndProcessing", "CreationTime", "SecondsInPreviousAttempts", "AncestorId", "RetryNumber"),
        *("ManualAncestorId", "ManualRetryNumber", "CreatorJobKey", "ExecutorJobKey", "SpecificContent", "Output"),
        *("Analytics", "Progress", "RobotId"),
    },
    "Releases": {
        *("Id", "Key", "Name", "Description", "ProcessKey", "ProcessVersion", "ProcessType", "Tags"),
        *("LastModificationTime", "CreationTime"),
    },
    "ProcessSchedules": {"Id", "Key", "Name", "Enabled", "ReleaseId", "ReleaseName", "QueueDefinitionId"},
    "Jobs": {
        *("Id", "Key", "ReleaseName", "CreationTime", "StartTime", "EndTime", "State", "SubState", "Info", "Type"),
        *("SourceType", "ProcessType", "Reference", "LastModificationTime", "HostMachineName", "ParentJobKey"),
    },
}


@dataclass
class UiPath:
    """One tenant, as one application sees it. `folders` of a row: those that show it; a shared queue has several."""

    client: tuple[str, str] = ("app", "s3cret")
    token: str = "sesame"
    scopes: set[str] = field(default_factory=lambda: set(SCOPES.values()))
    clock: datetime = datetime(2026, 3, 31, tzinfo=UTC)
    allowed: int | None = None  # requests for items, and for jobs, a minute
    hidden: set[int] = field(default_factory=set)  # folders that the application is not assigned to
    refused: set[tuple[int, str]] = field(default_factory=set)  # folder and list that its roles there do not cover
    lists: dict[str, dict[int, Row]] = field(default_factory=lambda: {name: {} for name in SCOPES})
    shown: dict[tuple[str, int], set[int]] = field(default_factory=dict)  # the folders of a row
    asked: list[str] = field(default_factory=list)  # "QueueItems 5001 Id gt 0 and (...)"
    spent: dict[tuple[str, datetime], int] = field(default_factory=dict)
    last_id: int = 0
    made: int = 0

    def folder(self, name: str, kind: str = "Standard") -> int:
        about = {"DisplayName": name.rpartition("/")[2], "FullyQualifiedName": name, "FolderType": kind}
        return self.add("Folders", set(), **about)

    def queue(self, name: str, *folders: int, **more: Any) -> int:
        return self.add("QueueDefinitions", set(folders), **{"Name": name, "Tags": [], "ReleaseId": None, **more})

    def process(self, name: str, folder: int, **more: Any) -> int:
        about = {"Name": name, "ProcessKey": name, "ProcessVersion": "1.0.1", "ProcessType": "Process", "Tags": []}
        return self.add("Releases", {folder}, **{**about, **more})

    def trigger(self, folder: int, process: int, *, enabled: bool = True, queue: int | None = None) -> int:
        about = {"Enabled": enabled, "ReleaseId": process, "QueueDefinitionId": queue, "Name": "hourly"}
        return self.add("ProcessSchedules", {folder}, **about)

    def item(self, queue: int, at: datetime, **more: Any) -> int:
        """A queue item that was added at a time; its id."""
        key = str(UUID(int=self.made + 1))
        about = {"QueueDefinitionId": queue, "Status": "New", "ReviewStatus": "None", "Key": key, "RetryNumber": 0}
        about |= {"CreationTime": text(at), "ManualRetryNumber": 0, "SpecificContent": {"country": "de"}}
        return self.add("QueueItems", self.shown["QueueDefinitions", queue], **{**about, **more})

    def begin(self, item: int, at: datetime, job: str | None = None) -> None:
        self.lists["QueueItems"][item] |= {"Status": "InProgress", "StartProcessing": text(at), "ExecutorJobKey": job}

    def end(self, item: int, at: datetime, failed: str | None = None, *, retries: int = 0) -> int:
        """Successful, or failed with an exception; the row that is the last attempt after that."""
        row = self.lists["QueueItems"][item]
        row |= {"Status": "Failed" if failed else "Successful", "EndProcessing": text(at)}
        row["ProcessingExceptionType"] = failed
        if failed == "ApplicationException" and row["RetryNumber"] < retries:
            row["Status"] = "Retried"
            number = row["RetryNumber"] + 1
            return self.again(item, at, RetryNumber=number, AncestorId=item, ManualRetryNumber=row["ManualRetryNumber"])
        return item

    def retry_by_hand(self, item: int, at: datetime) -> int:
        """A person sends a failed item again: that does not raise its RetryNumber."""
        row = self.lists["QueueItems"][item]
        row["ReviewStatus"] = "Retried"
        more = {"RetryNumber": row["RetryNumber"], "ManualRetryNumber": row["ManualRetryNumber"] + 1}
        return self.again(item, at, ManualAncestorId=item, **more)

    def again(self, item: int, at: datetime, **more: Any) -> int:
        row = self.lists["QueueItems"][item]
        same = {name: row[name] for name in ("Key", "Reference", "SpecificContent", "DeferDate")}
        return self.item(row["QueueDefinitionId"], at, **same, **more)

    def work(
        self, queue: int, at: datetime, failed: str | None = None, *, retries: int = 0, job: str | None = None
    ) -> int:
        """An item that is added, begun and ended within seconds; the row of its last attempt."""
        item, seconds = self.item(queue, at), 20
        self.begin(item, at + timedelta(seconds=1), job)
        return self.end(item, at + timedelta(seconds=seconds), failed, retries=retries)

    def job(self, folder: int, process: str, at: datetime, state: str = "Successful", **more: Any) -> int:
        over = state in ("Successful", "Faulted", "Stopped")
        end = text(at + timedelta(seconds=40)) if over else None
        about: Row = {"ReleaseName": process, "CreationTime": text(at), "State": state, "SourceType": "Schedule"}
        about |= {"StartTime": None if state == "Pending" else text(at + timedelta(seconds=2)), "EndTime": end}
        about |= {"ProcessType": "Process", "LastModificationTime": end or text(at), "Type": "Unattended"}
        return self.add("Jobs", {folder}, **{**about, **more})

    def add(self, name: str, folders: set[int], **more: Any) -> int:
        """A row of a list; its id. Ids grow, whatever they are of."""
        self.last_id, self.made = self.last_id + 1, self.made + 1
        row = {**dict.fromkeys(sorted(COLUMNS[name])), "Key": str(UUID(int=self.made)), **more, "Id": self.last_id}
        self.lists[name][self.last_id], self.shown[name, self.last_id] = row, set(folders)
        return self.last_id

    def key(self, job: int) -> str:
        return str(self.lists["Jobs"][job]["Key"])

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/identity_/connect/token", self._token)
        app.router.add_get(f"{PATH}/odata/{{name}}", self._listed)
        return app

    @property
    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                answer = await handler(request)
            except BadQueryError as why:
                answer = error(400, 1015, f"Invalid OData query options. {why}")
            answer.headers["Date"] = f"{self.clock:%a, %d %b %Y %H:%M:%S} GMT"
            return answer

        return guard

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return web.json_response({"error": "invalid_client"}, status=400)
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        self.scopes = set(str(form.get("scope", "")).split())
        if not self.scopes or not self.scopes <= set(SCOPES.values()):
            return web.json_response({"error": "invalid_scope"}, status=400)
        told = {"access_token": self.token, "expires_in": 3600, "token_type": "Bearer", "scope": form.get("scope")}
        return web.json_response(told)

    async def _listed(self, request: web.Request) -> web.Response:
        name, folder = request.match_info["name"], request.headers.get(FOLDER, "")
        self.asked.append(f"{name} {folder or '-'} {request.query.get('$filter', '')}")
        refusal = self._refusal(request, name) or (None if name == "Folders" else self._closed(folder, name))
        if refusal:
            return refusal
        rows = [
            row
            for id_, row in self.lists[name].items()
            if (id_ not in self.hidden if name == "Folders" else int(folder) in self.shown[name, id_])
        ]
        return self._page(name, rows, request)

    def _refusal(self, request: web.Request, name: str) -> web.Response | None:
        """What is refused whatever the folder is."""
        if name not in SCOPES:
            return error(404, 0, "There is no such resource.")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return error(401, 0, "You are not authenticated!")
        minute = name, self.clock.replace(second=0, microsecond=0)
        self.spent[minute] = self.spent.get(minute, 0) + (name in LIMITED)
        if self.allowed is not None and self.spent[minute] > self.allowed:
            headers = {"Retry-After": str(60 - self.clock.second)}
            return web.json_response({"message": "Too many requests", "errorCode": 0}, status=429, headers=headers)
        return error(403, 0, "You are not authorized!") if SCOPES[name] not in self.scopes else None

    def _closed(self, folder: str, name: str) -> web.Response | None:
        """What is refused because of the folder."""
        if not folder:
            return error(400, 1101, "A folder is required for this action.")
        if int(folder) not in self.lists["Folders"] or int(folder) in self.hidden:
            said = f"Folder '{folder}' does not exist or the user does not have access to the folder."
            return error(400, 1100, said)
        return error(403, 0, "You are not authorized!") if (int(folder), name) in self.refused else None

    def _page(self, name: str, rows: list[Row], request: web.Request) -> web.Response:
        query, most = request.query, TOP.get(name, 1000)
        if unknown := sorted(set(query) - PARAMETERS):
            raise BadQueryError(f"The query parameter '{unknown[0]}' is not supported.")
        top = int(query.get("$top", most))
        if not 0 <= top <= most:
            raise BadQueryError(f"The limit of '{most}' for Top query has been exceeded. The value is '{top}'.")
        if query.get("$filter"):
            holds = Filter(query["$filter"], name, COLUMNS[name], ENUMS.get(name, {})).holds
            rows = [row for row in rows if holds(row)]
        for part in reversed(query.get("$orderby", "Id").split(",")):
            column, _, way = part.partition(" ")
            wanted(name, [column])
            rows.sort(key=lambda row, column=column: (row[column] is not None, row[column]), reverse=way == "desc")  # type: ignore[misc]
        columns = wanted(name, query["$select"].split(",")) if "$select" in query else [*COLUMNS[name]]
        skip = int(query.get("$skip", 0))
        value = [{key: row[key] for key in columns if key in row} for row in rows[skip : skip + top]]
        counted = {"@odata.count": len(rows)} if query.get("$count") == "true" else {}
        return web.json_response({"@odata.context": f"{PATH}/odata/$metadata#{name}", **counted, "value": value})


def wanted(name: str, columns: list[str]) -> list[str]:
    for each in columns:
        if each not in COLUMNS[name]:
            raise BadQueryError(f"Could not find a property named '{each}' on type 'UiPath.{name}'.")
    return columns


def text(at: datetime) -> str:
    """A time as Orchestrator writes it: up to seven digits after the second, and none that are zero."""
    fraction = f"{at.microsecond:06}0".rstrip("0")
    return f"{at:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


def error(status: int, code: int, said: str) -> web.Response:
    return web.json_response({"message": said, "errorCode": code, "traceId": "00-2f-4b-01"}, status=status)
