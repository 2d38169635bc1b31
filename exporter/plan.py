"""What to evaluate: KPIs as configured, windows, labels, what is known of workflows, services and teams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from exporter.figure import Key
from exporter.kpi import Basis, Kpi, Threshold
from exporter.records import CostKind


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A KPI as configured. `params` are SQL texts; `thresholds_by` are (segment to match, threshold).

    `basis`: which of its durations have thresholds. `fixed`: label pairs that all its figures carry.
    """

    kpi: Kpi
    params: Mapping[str, str] = field(default_factory=dict)
    threshold: Threshold = field(default_factory=Threshold)
    thresholds_by: Sequence[tuple[Mapping[str, str], Threshold]] = ()
    owner: str = "unassigned"
    escalation: str = "none"
    cadence: str = "weekly"
    basis: Basis = "calendar"
    fixed: Key = ()

    @property
    def key(self) -> tuple[str, Key]:
        """What tells it from others: a KPI may be counted on several bases at once."""
        return self.kpi.name, self.fixed


@dataclass(frozen=True, kw_only=True)
class WorkflowSetting:
    """What is configured of a workflow. Facts find it in the table workflow_settings, a column for each field."""

    run_timeout_seconds: float | None = None
    manual_seconds_low: float | None = None  # how long a person takes for one run, configured
    manual_seconds_high: float | None = None
    category: str | None = None  # of the requests that people handle instead: how long that takes is measured there
    rate: float | None = None  # loaded, per hour
    currency: str | None = None
    claim: Literal["hard_cost_avoided", "capacity_released", "productivity_gained"] | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceSetting:
    """What is configured of a service; in the table service_settings."""

    downtime_cost_per_hour: float | None = None
    currency: str | None = None


@dataclass(frozen=True, kw_only=True)
class TeamSetting:
    """What is configured of a team; in the table team_settings."""

    capacity_seconds_per_week: float | None = None
    people: int | None = None


@dataclass(frozen=True, kw_only=True)
class RecurringCost:
    """A cost that comes back every day, calendar month or year, as configured; in the table cost_settings."""

    amount: float
    currency: str
    per: Literal["day", "month", "year"]
    kind: CostKind
    workflow: str | None = None
    service: str | None = None
    team: str | None = None
    begins_at: datetime  # UTC, without zone
    ends_at: datetime | None = None  # the instant after its last day


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to evaluate: windows are (name, seconds), shortest first; labels per record."""

    settings: Sequence[Setting]
    windows: Sequence[tuple[str, int]]
    labels: Mapping[str, Sequence[str]]
    run_timeout: float = 86400.0
    workflows: Mapping[str, WorkflowSetting] = field(default_factory=dict)
    services: Mapping[str, ServiceSetting] = field(default_factory=dict)
    teams: Mapping[str, TeamSetting] = field(default_factory=dict)
    costs: Sequence[RecurringCost] = ()


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A source as evaluation sees it: which records it feeds, and whether what it fed is whole and fresh."""

    source: str
    records: frozenset[str]
    complete: bool = True
    stale: bool = False
