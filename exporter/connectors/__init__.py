"""One folder per platform. `outcome-exporter new connector NAME` adds one; see CONTRIBUTING.md."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

from exporter.collect.contract import Connector


class _Folders(Mapping[str, Connector]):
    """The folders here as connectors, each loaded when it is asked for: most configs use two or three."""

    def __init__(self) -> None:
        self._folders = {each.name.replace("_", "-"): each.name for each in iter_modules(__path__) if each.ispkg}

    def __getitem__(self, name: str) -> Connector:
        return cast(Connector, import_module(f"{__name__}.{self._folders[name]}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)


CONNECTORS: Mapping[str, Connector] = _Folders()
"""The `type` of a source in the configuration -> the module that reads it."""

if TYPE_CHECKING:  # so that each is checked against the contract
    from exporter.connectors import (
        airflow,
        awx,
        calcom,
        calendly,
        events,
        files,
        github,
        jira,
        n8n,
        otlp,
        pagerduty,
        prefect,
        request_tracker,
        rest,
        servicenow,
        uipath,
        zendesk,
    )

    CHECKED: dict[str, Connector] = {
        "airflow": airflow,
        "awx": awx,
        "calcom": calcom,
        "calendly": calendly,
        "events": events,
        "files": files,
        "github": github,
        "jira": jira,
        "n8n": n8n,
        "otlp": otlp,
        "pagerduty": pagerduty,
        "prefect": prefect,
        "request-tracker": request_tracker,
        "rest": rest,
        "servicenow": servicenow,
        "uipath": uipath,
        "zendesk": zendesk,
    }
