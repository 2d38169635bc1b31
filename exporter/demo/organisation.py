"""The demo's organisation: who works in it, what they automate, and what is wrong there at the moment.

Everything here is made up. Two things are wrong, so that two alerts have something to say:
- The expense policy changed eight days ago and the chat bot was not told: it hands `finance` over to people.
- The workflow that reminds invitees has failed for three weeks: meetings of `sales-us` are missed.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Platform = Literal["n8n", "prefect", "assistant"]
Desk = Literal["servicenow", "zendesk"]
Claim = Literal["hard_cost_avoided", "capacity_released", "productivity_gained"]


@dataclass(frozen=True, slots=True)
class Team:
    """A team that answers requests. Volumes are per working day."""

    name: str
    business_unit: str
    region: str
    topics: tuple[str, ...]
    conversations: float  # with the chat bot
    tickets: float  # by e-mail, beside those that follow a conversation
    meetings: float = 0
    utc_offset: int = 1  # hours: when its people work
    deal: float = 0  # what a usual deal is worth; 0: it sells nothing
    currency: str = "EUR"
    capacity_hours: int = 0  # per week, of those who answer requests; 0: not told
    people: int = 0  # who may ask for something; 0: not told
    desk: Desk = "servicenow"  # where its tickets are


@dataclass(frozen=True, slots=True)
class Workflow:
    """An automation. `failures` and `exceptions` are shares of its attempts; `daily` counts all days."""

    name: str
    platform: Platform
    team: str
    daily: float
    typical_seconds: float
    failures: float = 0.02
    exceptions: float = 0.0  # refused by a business rule
    manual_minutes: tuple[int, ...] = ()  # what a person takes, a length or a range; none: nobody knows
    topic: str = ""  # requests about it are the same work done by people
    claim: Claim = "capacity_released"
    systems: tuple[str, ...] = ()
    tickets: float = 0  # the share of its runs that open a ticket, with what is left to people

    @property
    def published(self) -> str:
        """Its name in the figures; Prefect's has the deployment in it."""
        return f"{self.name}/production" if self.platform == "prefect" else self.name


@dataclass(frozen=True, slots=True)
class Service:
    """Something that is changed and that breaks. Volumes are per working day."""

    name: str
    team: str
    tier: str
    deployments: float
    incidents: float
    downtime_per_hour: int = 0  # what an hour of outage costs; 0: nobody knows


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is being rolled out."""

    name: str
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cohort:
    """People of each team who get a tool together."""

    name: str
    days_ago: int
    people: int
    trained: bool
    later: float = 0.3  # the share that joins one after the other


TEAMS = (
    Team("it", "corporate", "emea", ("access", "laptop", "vpn", "software"), 26, 5, capacity_hours=80, people=420),
    Team("finance", "corporate", "emea", ("expenses", "invoices", "purchasing"), 24, 3, capacity_hours=40, people=240),
    Team("hr", "corporate", "emea", ("holiday", "payroll", "onboarding"), 17, 3, 5, capacity_hours=30, people=310),
    Team("sales-emea", "commercial", "emea", ("quote", "contract", "renewal"), 16, 2.5, 9, deal=9000),
    Team("sales-us", "commercial", "amer", ("quote", "contract", "renewal"), 15, 2.5, 13, -6, 12000, "USD"),
    Team("care", "commercial", "emea", ("delivery", "returns", "account"), 28, 6, 4, capacity_hours=120,
         desk="zendesk"),
    Team("platform", "engineering", "emea", ("pipeline", "access", "quota"), 9, 4, capacity_hours=20, people=60),
)  # fmt: skip

WORKFLOWS = (
    Workflow("Invoice intake", "n8n", "finance", 24, 14, exceptions=0.05, manual_minutes=(7, 11), topic="invoices",
             claim="hard_cost_avoided", systems=("erp", "mail")),
    Workflow("Expense approval", "n8n", "finance", 16, 8, exceptions=0.03, manual_minutes=(6,), systems=("erp", "hr")),
    Workflow("New hire accounts", "n8n", "hr", 4, 95, failures=0.04, manual_minutes=(30, 60),
             topic="onboarding", systems=("hr", "directory", "mail"), tickets=0.3),
    Workflow("Lead routing", "n8n", "sales-emea", 22, 5, manual_minutes=(4,), claim="productivity_gained",
             systems=("crm", "mail")),
    Workflow("Meeting reminders", "n8n", "sales-us", 9, 6, failures=0.01, manual_minutes=(3,), systems=("crm",)),
    Workflow("Password reset", "n8n", "it", 28, 4, manual_minutes=(12,), topic="access", systems=("directory",),
             tickets=0.04),
    Workflow("Return labels", "n8n", "care", 18, 11, exceptions=0.04, manual_minutes=(7,), topic="returns",
             claim="hard_cost_avoided", systems=("erp", "carrier", "mail"), tickets=0.05),
    Workflow("ledger-close", "prefect", "finance", 6, 840, failures=0.05, manual_minutes=(45, 75)),
    Workflow("payroll-check", "prefect", "hr", 4, 420, exceptions=0.06, manual_minutes=(40,)),
    Workflow("crm-sync", "prefect", "sales-emea", 24, 75, failures=0.03, claim="productivity_gained"),
    Workflow("stock-forecast", "prefect", "care", 12, 310, failures=0.03, manual_minutes=(20,)),
    Workflow("image-rebuild", "prefect", "platform", 20, 260, failures=0.06, manual_minutes=(15,)),
    Workflow("Reply drafts", "assistant", "care", 34, 6, manual_minutes=(4, 6), claim="productivity_gained",
             systems=("mail", "crm")),
    Workflow("Contract summaries", "assistant", "sales-emea", 8, 22, manual_minutes=(20,), claim="productivity_gained",
             systems=("crm",)),
)  # fmt: skip

SERVICES = (
    Service("portal", "platform", "tier1", 1.6, 0.10, 1800),
    Service("billing", "platform", "tier1", 0.9, 0.12, 2500),
    Service("search", "platform", "tier2", 1.4, 0.14),
    Service("single-sign-on", "it", "tier1", 0.3, 0.08),
    Service("warehouse", "care", "tier2", 0.6, 0.16),
)
MEASURED_SERVICE = "portal"

TOOLS = (Tool("assistant", ("it", "finance", "hr", "care")), Tool("scheduler", ("sales-emea", "sales-us")))
COHORTS = (
    Cohort("wave-1", 110, 14, trained=True),
    Cohort("wave-2", 55, 12, trained=True),
    Cohort("control", 110, 10, trained=False, later=0.9),  # the same tool, without the training
)

REQUESTERS = 1600  # people who ask for something, all teams together
AGENTS = 14
BOT = "triage-bot"
BOOKER = "booking-assistant"
AUTOMATION = "svc.automation"

BAD_POLICY_TEAM = "finance"
BAD_POLICY_FOR = timedelta(days=8)
NO_REMINDERS_TEAM = "sales-us"
NO_REMINDERS_WORKFLOW = "Meeting reminders"
NO_REMINDERS_FOR = timedelta(days=21)


def requester(number: int) -> str:
    """The same address in the chat bot and at the desks: it joins a conversation and the ticket after it."""
    return f"person{number:04d}@example.com"


def agent(number: int) -> str:
    return f"agent{number:02d}"
