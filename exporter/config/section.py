"""The sections of the config file. A field is a key; deploy/config.example.yaml explains each."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from exporter.base import duration
from exporter.catalogue.group import Indicator, Tier
from exporter.catalogue.kpi import MIN_COVERAGE, Basis
from exporter.collect.signature import BEARER, SchemeName
from exporter.config.shape import ONE_OR_MORE
from exporter.records import CostKind
from exporter.records.columns import Rule
from exporter.records.unreadable import MOST_UNREAD


class Section(BaseModel):
    """A part of the config; never changed once read."""

    # Deferred: a section is built once, within the one that holds it.
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, defer_build=True)


LengthText = Annotated[str, Field(pattern=duration.PATTERN)]
"""A length of time as it is written."""


def _length(shortest: str = "1s", longest: str = "36500d") -> BeforeValidator:
    """A length of time within bounds, as seconds."""

    def read(value: Any) -> int:
        length = duration.seconds(value if isinstance(value, str) else "")
        if length < duration.seconds(shortest):
            raise ValueError(f"this is too short; write at least {shortest}")
        if length > duration.seconds(longest):
            raise ValueError(f"this is too long; at most {longest}")
        return length

    return BeforeValidator(read, json_schema_input_type=LengthText)


def _as_written(value: Any) -> str:
    """A length of time, kept as it is written."""
    text = value if isinstance(value, str) else ""
    duration.seconds(text)
    return text


def _matching(pattern: str, otherwise: str) -> AfterValidator:
    """A text of a certain form."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(otherwise)
        return value

    return AfterValidator(check)


def day_text(value: str) -> str:
    """A day of the calendar."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            date.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise ValueError('this is not a date; write it like "2026-01-31", in quotes')


def _amount(value: Any) -> Any:
    """A number, or a length of time as its seconds."""
    try:
        return duration.seconds(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("write a number, such as 0.20 for 20 %, or a length of time, such as 4h") from None


def _share(value: float) -> float:
    """A share of something."""
    if not 0 <= value <= 1:
        raise ValueError("a share is between 0 and 1; write 0.5 for 50 %")
    return value


Length = Annotated[int, _length()]
Window = Annotated[
    str, BeforeValidator(_as_written, json_schema_input_type=LengthText)
]  # also its name: what is written 36h is nowhere called 1d12h
Share = Annotated[float, AfterValidator(_share)]
Pause = Annotated[int, _length("5s", "1d")]  # between two polls, evaluations, exports
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]
Level = Annotated[float, BeforeValidator(_amount, json_schema_input_type=float | LengthText)]
Columns = Mapping[str, Annotated[tuple[Rule, ...], ONE_OR_MORE, Field(min_length=1)]]
Name = Annotated[
    str, _matching(r"[a-z0-9][a-z0-9_-]{0,62}", "a name consists of a to z, 0 to 9, _ and -, 63 characters at most")
]
Currency = Annotated[str, _matching(r"[A-Z]{3}", "write a currency in three capital letters, like EUR")]
Day = Annotated[str, AfterValidator(day_text)]
Spans = Annotated[tuple[Text, ...], ONE_OR_MORE]  # each like 09:00-17:00
Header = Annotated[str, _matching(r"[A-Za-z0-9-]{1,100}", "this is not the name of a header; write one like X-Api-Key")]
Memory = Annotated[str, _matching(r"[1-9][0-9]*(MB|GB)", "write the size like 256MB or 1GB")]
Address = Annotated[str, _matching(r"https?://[^\s/@?#]+(/[^\s?#]*)?", "write the address like https://collector:4318")]


class StoreSection(Section):
    path: Text = "outcome.duckdb"
    retention: Annotated[int, _length("1d")] = 400 * 86400
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    memory_limit: Memory = "256MB"
    person_key: str | None = None
    person_key_file: Text | None = None


class LimitsSection(Section):
    series_per_metric: Count = 2000
    series: Count = 50_000
    values_per_label: Count = 50
    teams: Count = 50


class OtlpSection(Section):
    """The two addresses mean what OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_METRICS_ENDPOINT mean."""

    endpoint: Address | None = None
    metrics_endpoint: Address | None = None
    headers: Mapping[str, str] = {}  # secrets: ${NAME} only
    header_files: Mapping[str, Text] = {}
    interval: Pause = 60
    compression: Literal["gzip", "none"] = "gzip"


class LogSection(Section):
    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class MoneySection(Section):
    amount: Annotated[float, Field(gt=0)]
    currency: Currency


class CostSection(Section):
    """A cost that comes back, prorated by the second within each calendar period; or one that is paid once."""

    amount: Annotated[float, Field(gt=0)]
    currency: Currency
    per: Literal["day", "month", "year", "once"]
    kind: CostKind
    workflow: Text | None = None
    service: Text | None = None
    team: Text | None = None
    from_: Annotated[Day, Field(alias="from")]
    to: Day | None = None  # the last day


class SharedCostSection(Section):
    """What becomes of the cost of automation that serves no workflow with a claim."""

    by: Literal["runs", "time_saved", "value", "none"] = "none"


class WorkflowSection(Section):
    """What is known of an automation that its platform does not say."""

    run_timeout: Length | None = None
    manual_time: Annotated[tuple[Length, ...], ONE_OR_MORE, Field(min_length=1, max_length=2)] | None = None
    manual_origin: Text | None = None  # where manual_time is from
    category: Text | None = None
    rate: MoneySection | None = None  # loaded, per hour
    claim: Literal["hard_cost_avoided", "capacity_released", "productivity_gained"] | None = None


class ServiceSection(Section):
    downtime_cost: MoneySection  # per hour


class TeamSection(Section):
    capacity: Length | None = None  # working time per week
    people: Count | None = None
    calendar: Text | None = None


class HolidaysSection(Section):
    country: Text  # two letters
    subdivision: Text | None = None


class CalendarSection(Section):
    """Hours in which somebody works; business time is counted in them."""

    time_zone: Text
    hours: Mapping[str, Spans]
    holidays: HolidaysSection | None = None
    closed: tuple[Day, ...] = ()
    open: Mapping[str, Spans] = {}  # days that have other hours than their weekday, holiday or not


class LevelsSection(Section):
    """Where a KPI is worth a ticket (warning), and where it is worth waking somebody (critical)."""

    warning: Level | None = None
    critical: Level | None = None


class LevelsOf(LevelsSection):
    """The same, and the target, for one segment."""

    match: Annotated[Mapping[str, Text], Field(min_length=1)]
    target: Level | None = None


class Nothing(Section):
    """Written {}: it is asked for, and has no settings."""


class FixedSection(Section):
    """A period of whole days, UTC."""

    from_: Annotated[Day, Field(alias="from")]
    to: Day  # the last day


class ControlSection(Section):
    """The segments of cohort "control"."""

    match: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None  # the labels to be the same; all but cohort


class ComparisonSection(Section):
    """What KPIs are compared with."""

    fixed: FixedSection | None = None
    previous: Nothing | None = None
    control: ControlSection | None = None
    weekday_median: Nothing | None = None


class GroupSection(Section):
    """What all KPIs of a group may be told; what is told of a single one comes first."""

    owner: Text | None = None
    business_owner: Text | None = None
    technical_owner: Text | None = None
    escalation: Text | None = None
    cadence: Text | None = None


class KpiSection(GroupSection):
    """What every KPI may be told; its own parameters stand beside these."""

    enabled: bool = True
    tier: Tier | None = None
    indicator: Indicator | None = None
    basis: Basis = "calendar"
    min_coverage: Share | None = None
    target: Level | None = None
    threshold: LevelsSection = LevelsSection()
    thresholds_by: tuple[LevelsOf, ...] = ()
    baselines: ComparisonSection | None = None  # instead of those for every KPI


class InterventionSection(Section):
    """Something that was changed to change KPIs."""

    date: Day
    what: Annotated[str, Field(min_length=1, max_length=100)]
    where: Mapping[str, Text] = {}
    kpis: Annotated[tuple[Text, ...], ONE_OR_MORE] = ()  # names of KPIs or groups; none: headlines and drivers


class AuthSection(Section):
    """How tokens are had, where a source does not send its secret itself."""

    method: Literal["client_credentials", "refresh_token", "login", "app"]
    token_url: str | None = None  # a whole address, or a path below the source's url
    client_id: Text | None = None
    client_secret: str | None = None
    client_secret_file: Text | None = None
    client_in: Literal["body", "header"] | None = None  # where the two are sent; None: as the platform wants
    private_key: str | None = None
    private_key_file: Text | None = None
    refresh_token: str | None = None
    refresh_token_file: Text | None = None
    username: Text | None = None
    password: str | None = None
    password_file: Text | None = None
    app_id: Text | None = None
    installation_id: Text | None = None
    scope: Annotated[tuple[Text, ...], ONE_OR_MORE] | None = None
    parameters: Mapping[str, str] = {}  # sent beside the others; not for secrets


class SourceSection(Section):
    """What every source may be told; the options of its connector stand beside these."""

    name: Name
    type: str
    url: str | None = None
    calendar: Text | None = None
    claimed_resolution_price: MoneySection | None = None
    api_key: str | None = None
    api_key_file: Text | None = None
    token: str | None = None
    token_file: Text | None = None
    username: Text | None = None
    password: str | None = None
    password_file: Text | None = None
    header: Header | None = None
    auth: AuthSection | None = None
    interval: Pause | None = None
    initial_history: Length = 120 * 86400
    max_staleness: Length | None = None
    max_data_age: Length = 3 * 86400
    max_unreadable: Share = MOST_UNREAD  # of its records, before its figures are withdrawn
    timeout: Annotated[int, _length("1s", "10m")] = 30
    rate: Annotated[float, Field(gt=0)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    proxy: str | None = None
    ca_file: Text | None = None
    max_response_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    scheme: SchemeName = BEARER  # how senders prove who they are, where it is pushed
    secret: Annotated[tuple[str, ...], ONE_OR_MORE] | None = None
    secret_file: Annotated[tuple[Text, ...], ONE_OR_MORE] | None = None
    max_request_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] | None = None
    segments: Columns = {}
    fields: Columns = {}


class MailSection(Section):
    host: Text
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Text | None = None
    password: str | None = None  # ${NAME} only
    password_file: Text | None = None
    from_: Annotated[Text, Field(alias="from")]
    to: Annotated[tuple[Text, ...], Field(min_length=1)]


class WebhookSection(Section):
    url: Address
    token: str | None = None  # ${NAME} only
    token_file: Text | None = None


class ReportSection(Section):
    """A report that is made of every period, once it is over."""

    period: Literal["week", "month", "quarter"]
    for_: Annotated[
        Literal["executive", "operations", "support", "engineering", "bookings", "rollout"], Field(alias="for")
    ]
    format: Literal["html", "md", "csv", "pdf"] = "html"
    folder: Text
    delay: Annotated[int, _length("1m", "7d")] = 6 * 3600  # after the end of the period, in which late data comes
    mail: MailSection | None = None
    webhook: WebhookSection | None = None


class Whole(Section):
    """The whole file, but for sources and KPIs, whose keys depend on their type and name."""

    store: StoreSection = StoreSection()
    windows: Annotated[tuple[Window, ...], Field(min_length=1, max_length=4)] = ("1d", "7d", "30d", "90d")
    labels: Mapping[str, tuple[str, ...]] = {}
    sources: Any = ()
    kpis: Any = {}
    baselines: ComparisonSection | None = None
    interventions: tuple[InterventionSection, ...] = ()
    go_live: Mapping[str, Mapping[str, Day]] = {}  # label -> its value -> the day it came into use
    min_coverage: Share = MIN_COVERAGE  # on how many records the fields that a KPI needs must be filled
    limits: LimitsSection = LimitsSection()
    evaluation_interval: Pause = 60
    run_timeout: Length = 86400
    person_day: Length = 8 * 3600  # how long a person works a day
    time_zone: Text = "UTC"  # in which the days, weeks and months of reports begin
    shared_cost: SharedCostSection = SharedCostSection()
    workflows: Mapping[str, WorkflowSection] = {}
    services: Mapping[str, ServiceSection] = {}
    teams: Mapping[str, TeamSection] = {}
    calendars: Mapping[str, CalendarSection] = {}
    costs: tuple[CostSection, ...] = ()
    otlp: OtlpSection | None = None
    reports: tuple[ReportSection, ...] = ()
    log: LogSection = LogSection()
