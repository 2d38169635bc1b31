"""Each KPI says where it belongs and what it is for; a config chooses among them and says who owns them."""

from collections import Counter
from pathlib import Path

import pytest

from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi
from exporter.catalogue.group import GROUPS, TIERS


def test_every_group_has_headlines_drivers_and_controls() -> None:
    missing = {
        (group, tier)
        for group in GROUPS
        for tier in TIERS
        if not any((each.group, each.tier) == (group, tier) for each in kpi.catalogue().values())
    }

    assert missing == set()


def test_a_group_has_at_most_two_headlines() -> None:
    headlines = Counter(each.group for each in kpi.catalogue().values() if each.tier == "headline")

    assert {count for count in headlines.values() if count > 2} == set()


def test_a_shipped_kpi_without_a_group_a_tier_and_an_indicator_is_refused(tmp_path: Path) -> None:
    (tmp_path / "booking.yaml").write_text(
        "facts: booking\nneeds: [booking]\nkpis:\n  bookings: {title: Bookings, help: Bookings., kind: count, "
        "where: booked_at is not null, better: higher, guard: [bookings]}\n"
    )

    with pytest.raises(Mistakes) as found:
        kpi.load(tmp_path)

    assert [mistake.message for mistake in found.value.mistakes] == ["has no group", "has no tier", "has no indicator"]
