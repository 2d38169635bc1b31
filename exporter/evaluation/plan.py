"""What to evaluate: KPIs as configured, windows, labels, and settings of workflows, services and teams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from exporter.catalogue.group import Indicator, Tier
from exporter.catalogue.kpi import BASELINES, MIN_COVERAGE, Basis, Kpi, Threshold
from exporter.evaluation.calendar import Calendar
from exporter.records import CostKind

NOBODY = "unassigned"
"""Whom a KPI belongs to if the config does not say it."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """Whole days: from `begins_at` until just before `ends_at`."""

    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """What a KPI is compared with."""

    fixed: Period | None = None
    previous: bool = False
    control: tuple[str, ...] = ()  # labels that the control group is summed over, `cohort` always; none: no comparison
    weekday_median: bool = False

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The names of the baselines that are switched on."""
        return tuple(kind for kind in BASELINES if getattr(self, kind))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A KPI as configured. `params` are SQL texts; `thresholds_by` are (segment to match, threshold): only the
    fields that were set say something, and None says that there is none; so it is with `target` and `targets_by`.

    `basis`: which of its durations have thresholds and targets. `chosen`: False if it only comes with others.
    """

    kpi: Kpi
    chosen: bool = True
    params: Mapping[str, str] = field(default_factory=dict)
    threshold: Threshold = field(default_factory=Threshold)
    thresholds_by: Sequence[tuple[Mapping[str, str], Threshold]] = ()
    target: float | None = None
    targets_by: Sequence[tuple[Mapping[str, str], float | None]] = ()
    baselines: Baselines = field(default_factory=Baselines)
    tier: Tier | None = None
    indicator: Indicator | None = None
    business_owner: str = NOBODY
    technical_owner: str = NOBODY
    owner: str = NOBODY
    escalation: str = "none"
    cadence: str = "weekly"
    basis: Basis = "calendar"
    min_coverage: float = MIN_COVERAGE

    @cached_property
    def has_threshold(self) -> bool:
        """Whether a threshold is set, for all or for a segment."""
        every = (self.threshold, *(threshold for _, threshold in self.thresholds_by))
        return any(threshold.model_dump(exclude_none=True) for threshold in every)

    @cached_property
    def has_target(self) -> bool:
        """Whether a target is set, for all or for a segment."""
        return any(target is not None for target in (self.target, *(target for _, target in self.targets_by)))


@dataclass(frozen=True, kw_only=True)
class WorkflowSetting:
    """What is configured of a workflow. Facts find it in the table workflow_settings, a column for each field."""

    run_timeout_seconds: float | None = None
    manual_seconds_low: float | None = None  # how long a person takes for one run, configured
    manual_seconds_high: float | None = None
    manual_origin: str | None = None  # where that is from
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
    calendar: str | None = None  # the hours it works; wins over that of the source


@dataclass(frozen=True, kw_only=True)
class SourceSetting:
    """What is configured of a source beside how it is read; in the table source_settings."""

    calendar: str | None = None
    escalations_reported: bool | None = None  # whether a request without an escalation was not; None: it says so itself
    claimed_resolution_price: float | None = None
    currency: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecurringCost:
    """A cost that comes back every day, calendar month or year, or is paid once, as configured; in cost_settings."""

    amount: float
    currency: str
    per: Literal["day", "month", "year", "once"]
    kind: CostKind
    workflow: str | None = None
    service: str | None = None
    team: str | None = None
    begins_at: datetime  # UTC, without zone
    ends_at: datetime | None = None  # the instant after its last day


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """Something that was changed on a day, to change KPIs: from `at`, midnight UTC.

    `where`: the label pairs that it is about, none: everything. `kpis`: the names of those concerned. `go_live`:
    whether it is the day on which an automation or tool came into use.
    """

    at: datetime
    what: str
    where: Mapping[str, str] = field(default_factory=dict)
    kpis: frozenset[str] = frozenset()
    go_live: bool = False

    @property
    def place(self) -> str:
        """What it is about, in words: `workflow Invoice intake, team finance`, or `everywhere`."""
        return ", ".join(f"{label} {value}" for label, value in self.where.items()) or "everywhere"

    def concerns(self, kpi: str, segment: Mapping[str, str]) -> bool:
        """Whether it may have changed a KPI in a segment: one that is not told apart from it by a label."""
        return kpi in self.kpis and all(segment.get(label, value) == value for label, value in self.where.items())


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to evaluate: windows are (name, seconds), shortest first; labels per record.

    `not_computed`: KPIs that are switched off or not chosen; facts use their parameters for others, too.
    """

    settings: Sequence[Setting]
    windows: Sequence[tuple[str, int]]
    labels: Mapping[str, Sequence[str]]
    not_computed: Sequence[Setting] = ()
    run_timeout: float = 86400.0
    person_day_seconds: float = 8 * 3600.0  # working time is shown in days of this length, too
    shared_cost: Literal["runs", "time_saved", "value", "none"] = "none"  # what it is allocated to claims by
    workflows: Mapping[str, WorkflowSetting] = field(default_factory=dict)
    services: Mapping[str, ServiceSetting] = field(default_factory=dict)
    teams: Mapping[str, TeamSetting] = field(default_factory=dict)
    costs: Sequence[RecurringCost] = ()
    sources: Mapping[str, SourceSetting] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    interventions: Sequence[Intervention] = ()  # go-lives, too; oldest first
    medians: bool = True  # whether durations come with them: it takes every value

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """What is configured, by the table in which facts find it; a column of it is a field."""
        return {
            "workflow_settings": self.workflows,
            "service_settings": self.services,
            "team_settings": self.teams,
            "source_settings": self.sources,
            "cost_settings": {str(i): cost for i, cost in enumerate(self.costs)},
        }

    def settled(self, *more: object) -> str:
        """A text that is the same where all that facts read of the config is the same, and so is `more`."""
        return sha256(f"{more} {self._read_by_facts}".encode()).hexdigest()

    @cached_property
    def _read_by_facts(self) -> str:
        durations = [
            (name, setting.params.get(name))
            for setting in [*self.settings, *self.not_computed]
            for name, param in setting.kpi.params.items()
            if param.type == "duration"
        ]
        return repr(
            (self.tables, self.calendars, self.run_timeout, self.person_day_seconds, self.shared_cost, durations)
        )

    @cached_property
    def kpis(self) -> Mapping[str, Kpi]:
        """Every KPI by name."""
        return {setting.kpi.name: setting.kpi for setting in self.settings}
