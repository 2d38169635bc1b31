"""The demo's organisation: who works in it, what they automate, and what is wrong there at the moment.

Everything here is made up. Two things are wrong, so that two alerts have something to say:
- The expense policy changed six and a half days ago and the chat bot was not told: it hands `finance` over to people.
- The workflow that reminds invitees has failed for three weeks: meetings of `sales-us` are missed.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Platform = Literal["n8n", "prefect"]


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


@dataclass(frozen=True, slots=True)
class Workflow:
    """An automation. `failures` and `exceptions` are shares of its attempts; `daily` counts all days."""

    key: str
    name: str
    platform: Platform
    team: str
    daily: float
    typical_seconds: float
    failures: float = 0.02
    exceptions: float = 0.0  # refused by a business rule
    minutes_saved: int = 10
    systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """Something that is changed and that breaks. Volumes are per working day."""

    name: str
    team: str
    tier: str
    deployments: float
    incidents: float


TEAMS = (
    Team("it", "corporate", "emea", ("access", "laptop", "vpn", "software"), 26, 5),
    Team("finance", "corporate", "emea", ("expenses", "invoices", "purchasing"), 24, 3),
    Team("hr", "corporate", "emea", ("holiday", "payroll", "onboarding"), 17, 3, meetings=5),
    Team("sales-emea", "commercial", "emea", ("quote", "contract", "renewal"), 16, 2.5, meetings=9),
    Team("sales-us", "commercial", "amer", ("quote", "contract", "renewal"), 15, 2.5, meetings=13, utc_offset=-6),
    Team("care", "commercial", "emea", ("delivery", "returns", "account"), 28, 6, meetings=4),
    Team("platform", "engineering", "emea", ("pipeline", "access", "quota"), 9, 4),
)

WORKFLOWS = (
    Workflow("8hTgQ2vLx0aBcD1e", "Invoice intake", "n8n", "finance", 24, 14, exceptions=0.05, minutes_saved=9),
    Workflow("Kq3ZpX7mWn2RsT4u", "Expense approval", "n8n", "finance", 16, 8, exceptions=0.03, minutes_saved=6),
    Workflow("b5YwE9cVf6GhJ8kL", "New hire accounts", "n8n", "hr", 4, 95, failures=0.04, minutes_saved=45),
    Workflow("M1nPq0rStU2vWx3Y", "Lead routing", "n8n", "sales-emea", 22, 5, minutes_saved=4),
    Workflow("z4A5b6C7d8E9f0Gh", "Meeting reminders", "n8n", "sales-us", 9, 6, failures=0.01, minutes_saved=3),
    Workflow("i1J2k3L4m5N6o7Pq", "Password reset", "n8n", "it", 28, 4, minutes_saved=12),
    Workflow("r8S9t0U1v2W3x4Yz", "Return labels", "n8n", "care", 18, 11, exceptions=0.04, minutes_saved=7),
    Workflow("ledger-close", "ledger-close", "prefect", "finance", 6, 840, failures=0.05, minutes_saved=60),
    Workflow("payroll-check", "payroll-check", "prefect", "hr", 4, 420, exceptions=0.06, minutes_saved=40),
    Workflow("crm-sync", "crm-sync", "prefect", "sales-emea", 24, 75, failures=0.03, minutes_saved=5),
    Workflow("stock-forecast", "stock-forecast", "prefect", "care", 12, 310, failures=0.03, minutes_saved=20),
    Workflow("image-rebuild", "image-rebuild", "prefect", "platform", 20, 260, failures=0.06, minutes_saved=15),
)

SERVICES = (
    Service("portal", "platform", "tier1", 1.6, 0.10),
    Service("billing", "platform", "tier1", 0.9, 0.12),
    Service("search", "platform", "tier2", 1.4, 0.14),
    Service("single-sign-on", "it", "tier1", 0.3, 0.08),
    Service("warehouse", "care", "tier2", 0.6, 0.16),
)

REQUESTERS = 1600  # people who ask for something, all teams together
AGENTS = 14
BOT = "triage-bot"
BOOKER = "booking-assistant"

BAD_POLICY_TEAM = "finance"
BAD_POLICY_FOR = timedelta(days=6, hours=12)
NO_REMINDERS_TEAM = "sales-us"
NO_REMINDERS_WORKFLOW = "Meeting reminders"
NO_REMINDERS_FOR = timedelta(days=21)


def requester(number: int) -> str:
    """The same address in the chat bot and in Request Tracker: it joins a conversation and the ticket after it."""
    return f"person{number:04d}@example.com"


def agent(number: int) -> str:
    return f"agent{number:02d}"
