"""What a KPI is for and who answers for it, as data and in words."""

from collections.abc import Mapping
from typing import Any

from exporter.evaluation.plan import NOBODY, Setting

PEOPLE = {
    "business_owner": "business owner",
    "technical_owner": "technical owner",
    "owner": "alerts go to",
    "escalation": "escalation",
}
"""Whom a config may name -> what they are called."""


def roles(setting: Setting) -> dict[str, Any]:
    """The group, the tier, the indicator and the people of a KPI, ready for JSON."""
    return {
        "group": setting.kpi.group,
        "tier": setting.tier,
        "indicator": setting.indicator,
        "chosen": setting.chosen,
        **{key: getattr(setting, key) for key in PEOPLE},
        "cadence": setting.cadence,
    }


def in_words(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same as (name, words); without whom the config does not name."""
    what = f"{row['tier']} of {row['group']}" if row["tier"] else f"of {row['group']}"
    place = f"{what}, {row['indicator']}" if row["indicator"] else what
    shown = [("place", place if row["chosen"] else f"{place}; comes with a KPI that the config chooses")]
    people = {name: row[key] for key, name in PEOPLE.items() if row[key] not in (NOBODY, "none")}
    # Who answers for the value is told by alerts anyway.
    if row["owner"] == row["business_owner"]:
        people.pop(PEOPLE["owner"], None)
    return [*shown, *people.items(), ("reviewed", row["cadence"])]
