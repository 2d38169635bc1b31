"""What can be set for one Jira site."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from exporter.collect.mapping import Which
from exporter.records import ChangeResult, IncidentSeverity, RequestOutcome

MOST_FIELDS = 10  # by which Jira filters histories
TYPE = "fields.issuetype.name"
INCIDENTS = Which(field=TYPE, match=r"(?i)(\[System\] )?Incident.*")
CHANGES = Which(field=TYPE, match=r"(?i)(\[System\] )?Change.*")
PROBLEMS = Which(field=TYPE, match=r"(?i)(\[System\] )?Problem.*")
SERVICE_REQUESTS = Which(field=TYPE, match=r"(?i)(\[System\] )?Service request.*")
"""As Jira Service Management calls its types where nobody has renamed or translated them."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Names of statuses, resolutions and types may be written in any case."""

    projects: tuple[str, ...] = ()  # keys; none = every service project the account sees
    incidents: Which = INCIDENTS  # requests that are incidents, too
    changes: Which = CHANGES
    problems: Which = PROBLEMS  # neither; incidents that are linked to the same one recur
    service_requests: Which = SERVICE_REQUESTS
    bots: tuple[str, ...] = ()  # accounts that are automation beside apps: account ids, or names
    outcomes: Mapping[str, RequestOutcome] = field(default_factory=dict)  # of resolutions and statuses, over ours
    results: Mapping[str, ChangeResult] = field(default_factory=dict)  # of statuses and resolutions, over ours
    severities: Mapping[str, IncidentSeverity] = field(default_factory=dict)  # of severities and priorities, over ours
    on_hold_statuses: tuple[str, ...] = ("Waiting for customer", "Pending")  # waits for its requester or a third party
    escalation_statuses: tuple[str, ...] = ("Escalated",)
    # A change of one of these is an escalation; Jira takes ten fields, and four are asked for anyway.
    escalation_fields: Annotated[tuple[str, ...], Field(max_length=6)] = ()
    deployed_statuses: tuple[str, ...] = ()  # a change is deployed when it enters one; none = when it is done
    slas: tuple[str, ...] = ()  # names of those that count as a breach; none = every one
    response_sla: str = "Time to first response"
    severity_field: str = "Severity"
    change_type_field: str = "Change type"
    cause_links: tuple[str, ...] = ("Problem/Incident",)  # types of link from an incident to the change that caused it
    page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    overlap_seconds: Annotated[int, Field(ge=0)] = (
        600  # how far back is read again: Jira finds changes only after a while
    )
