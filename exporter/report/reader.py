"""For whom a report is, and which KPIs it shows each of them first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from exporter.catalogue.group import GROUPS, Group

Reader = Literal["executive", "operations", "support", "engineering", "bookings", "rollout"]


@dataclass(frozen=True, kw_only=True)
class Interest:
    """What a reader asks. `groups`: whose KPIs are looked at. The others: those shown first, in this order; where they
    have no value, other KPIs of that tier follow.
    """

    question: str
    groups: tuple[Group, ...]
    headline: tuple[str, ...]
    drivers: tuple[str, ...]
    controls: tuple[str, ...]


READERS: Mapping[Reader, Interest] = {
    "executive": Interest(
        question="Is it paying off?",
        groups=tuple(GROUPS),
        headline=("total_net_value", "time_saved_seconds", "deflection_ratio", "completion_ratio", "no_show_ratio"),
        drivers=("time_saved_seconds", "deflection_ratio", "completion_ratio", "lead_time_seconds", "active_ratio"),
        controls=(
            "escalation_ratio",
            "change_failure_ratio",
            "claim_gap_ratio",
            "exception_ratio",
            "abandonment_ratio",
        ),
    ),
    "operations": Interest(
        question="Do the automations run, and where do people have to step in?",
        groups=("automation", "support", "incidents"),
        headline=("completion_ratio", "deflection_ratio", "mttr_seconds"),
        drivers=("first_attempt_success_ratio", "automation_coverage_ratio", "time_saved_seconds"),
        controls=("exception_ratio", "escalation_ratio", "workflows_broken", "override_ratio"),
    ),
    "support": Interest(
        question="Are people helped, and by whom?",
        groups=("support",),
        headline=("deflection_ratio", "csat_ratio"),
        drivers=("automated_resolution_ratio", "first_contact_resolution_ratio", "resolution_seconds"),
        controls=("escalation_ratio", "recontact_ratio", "abandonment_ratio", "claim_gap_ratio"),
    ),
    "engineering": Interest(
        question="How fast and how safely do changes reach production?",
        groups=("changes", "incidents", "automation"),
        headline=("lead_time_seconds", "mttr_seconds", "completion_ratio"),
        drivers=("deployment_frequency", "change_automation_ratio", "mtta_seconds"),
        controls=("change_failure_ratio", "recurrence_ratio", "change_rework_ratio"),
    ),
    "bookings": Interest(
        question="Do meetings take place, and do they lead to something?",
        groups=("bookings",),
        headline=("no_show_ratio", "win_ratio"),
        drivers=("lead_response_seconds", "time_to_book_seconds", "bookings"),
        controls=("reschedule_ratio", "booking_cancellation_ratio", "double_booking_ratio"),
    ),
    "rollout": Interest(
        question="Is the tool used, does it help, and is it safe?",
        groups=("rollout",),
        headline=("active_ratio",),
        drivers=("activation_ratio", "time_to_value_seconds", "unaided_ratio"),
        controls=("stale_account_ratio", "phishing_resistant_ratio", "policy_violations"),
    ),
}
"""Reader -> what the report shows. The first is the default."""
