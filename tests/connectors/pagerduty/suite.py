"""PagerDuty for the contract suite: a month of incidents, some taken on, escalated or opened again, some still open."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from exporter.collect.mapping import Which
from exporter.connectors import pagerduty
from exporter.connectors.pagerduty import Options
from exporter.demo.fakes.pagerduty import PagerDuty
from tests.connectors.world import AT, SINCE, World

BEGAN = AT - timedelta(days=30)
MINUTE = timedelta(minutes=1)


def account() -> PagerDuty:
    """Some twenty incidents in the month before AT; one that is older, and open."""
    fake = PagerDuty(limit=10**6, clock=lambda: AT)
    old = fake.trigger("Certificate expires", SINCE - timedelta(days=200), by="bo", channel="web_trigger")
    fake.acknowledge(old, SINCE - timedelta(days=199))
    for day in range(20):
        at, by_event = BEGAN + timedelta(days=day), day % 3
        key = fake.trigger(f"Disk {day} full", at, priority=f"P{day % 5 + 1}", by=None if by_event else "bo")
        if day % 4 == 1:
            fake.escalate(key, at + 5 * MINUTE)
        if by_event != 1:
            fake.acknowledge(key, at + 9 * MINUTE)
        if day == 13:
            fake.unacknowledge(key, at + 39 * MINUTE)
        fake.resolve(key, at + 60 * MINUTE, None if by_event else "ana", "timeout" if day == 16 else None)
        if day == 9:
            fake.reopen(key, at + 70 * MINUTE)
            fake.resolve(key, at + 90 * MINUTE)
    fake.merge(fake.trigger("Disk full", BEGAN), next(reversed(fake.incidents)), BEGAN + MINUTE)
    fake.acknowledge(fake.trigger("Mail is slow", AT - 30 * MINUTE), AT - 9 * MINUTE)
    return fake


def world(_folder: Path) -> World:
    fake = account()
    incidents = fake.incidents
    old, *others = incidents
    fifth, last = others[4], others[-1]

    def remove(key: str) -> None:
        del incidents[key]
        fake.entries[:] = [each for each in fake.entries if each["incident"]["id"] != key]

    def unknown_word() -> str:
        # A status that nobody knows is reported, and is no end; whether it was merged, only this tells.
        incidents[fifth]["resolve_reason"] = {"type": "pondered_resolve_reason"}
        return fifth

    def missing_time() -> str:
        incidents[fifth] |= {"resolved_at": None, "last_status_change_at": None}
        return fifth

    def delete() -> str:
        remove(last)
        return last

    def work(at: datetime) -> str:
        key = fake.trigger("Queue is long", at)
        fake.resolve(key, at)
        return key

    def absurd() -> Callable[[], None]:
        far = fake.trigger("Clock is wrong", datetime(2199, 1, 1, tzinfo=UTC))
        return lambda: remove(far)

    def start_over() -> set[str]:
        incidents.clear()
        fake.entries.clear()
        fake.last_id = int(fifth[1:], 16) - 1
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    def zone(zone: tzinfo) -> None:
        fake.zone = zone

    return World(
        app=fake.app(),
        options=Options(page_size=5, requests=(Which(field="urgency", match="high"),)),
        auth=pagerduty.AUTH.fixed("api_key", fake.api_key),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=(old, lambda request: request.path.startswith(f"/incidents/{old}")),
        place="PagerDuty's lists are asked for by number and by time",
        zone=zone,
    )
