"""PagerDuty: what can be set for one account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from exporter.collect.mapping import Which
from exporter.records import IncidentSeverity


@dataclass(frozen=True, kw_only=True)
class Options:
    requests: tuple[Which, ...] = ()
    not_incidents: tuple[Which, ...] = ()
    severities: Mapping[str, IncidentSeverity] = field(default_factory=dict)
    automation_users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    page_size: Annotated[int, Field(ge=1, le=100)] = 100  # of more PagerDuty sends 100 all the same
    overlap_seconds: Annotated[int, Field(ge=0)] = 900
