"""The groups of KPIs, and what a KPI is for: a headline, what moves it, or what keeps it honest."""

from collections.abc import Mapping
from typing import Literal

Group = Literal["support", "incidents", "changes", "automation", "bookings", "rollout", "money"]
Tier = Literal["headline", "driver", "control"]
Indicator = Literal["leading", "lagging"]

GROUPS: Mapping[Group, str] = {
    "support": "Requests, conversations and tickets: who answers them, how fast, how well.",
    "incidents": "Interruptions of services: how often, how long, how many people.",
    "changes": "Changes and deployments: how fast, and how many go wrong.",
    "automation": "Runs and the inventory of automations: how reliable they are, and the time that they save.",
    "bookings": "Meetings and the sales funnel.",
    "rollout": "Adoption of tools: who uses them, and how safely.",
    "money": "What automation and service cost, and what they are worth.",
}
"""Group -> what is in it, in the order in which groups are shown."""
TIERS: Mapping[Tier, str] = {
    "headline": "The outcome that leaders ask for.",
    "driver": "Moves a headline, so teams work on it.",
    "control": "Must not get worse while the headline gets better.",
}
"""Tier -> what it means, in the order in which tiers are shown."""
