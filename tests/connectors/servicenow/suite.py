"""ServiceNow for the contract suite: incidents, requested items, conversations and changes, some still open."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import web

from exporter.collect.http import Auth
from exporter.connectors.servicenow import Options
from exporter.demo.fakes.servicenow import ServiceNow
from tests.connectors.world import AT, World

BEGAN = AT - timedelta(days=30)
MINUTE = timedelta(minutes=1)


def instance() -> ServiceNow:
    """Nine incidents, two items, two conversations and a change in the month before AT; an incident that is older."""
    instance = ServiceNow()
    instance.open_incident("user4", BEGAN - timedelta(days=99), priority="1")  # still open
    for number in range(9):
        at = BEGAN + timedelta(days=3 * number)
        key = instance.open_incident(f"user{number % 5}", at, priority=str(number % 4 + 1), assignment_group="Desk")
        instance.agree(key, "resolution", at)
        if number == 8:
            continue  # nobody has looked at it
        instance.update("incident", key, at + 5 * MINUTE, state="2", assigned_to="alice")
        if number % 4 == 2:
            instance.update("incident", key, at + 9 * MINUTE, assignment_group="Network")
        instance.resolve(key, ("alice", "bot")[number % 2], at + 60 * MINUTE)
        if number == 3:
            instance.reopen(key, at + 70 * MINUTE)
            instance.resolve(key, "alice", at + 90 * MINUTE)
    for number in range(2):
        at = BEGAN + timedelta(days=number, hours=6)
        key = instance.request_item("user1", "Laptop", at)
        if number % 2:
            instance.give_task(key, "bob", at)
        instance.update("sc_req_item", key, at + 99 * MINUTE, state="3", closed_at=f"{at + 99 * MINUTE:%F %T}")
        chat = instance.interact("user2", at)
        instance.update(
            "interaction", chat, at + 3 * MINUTE, state="closed_complete", agent_chat=("true", "false")[number % 2]
        )
        if number % 2:
            change = instance.request_change("carol", at)
            done = f"{at + 50 * MINUTE:%F %T}"
            instance.update(
                "change_request", change, at + 60 * MINUTE, state="3", close_code="successful", work_end=done
            )
    instance.delete("incident", instance.open_incident("user1", BEGAN), BEGAN + MINUTE)
    return instance


def world(_folder: Path) -> World:
    instance_ = instance()
    incidents = instance_.tables["incident"]
    fifth = [*incidents][5]

    def unknown_word() -> str:
        incidents[fifth]["state"] = "pondering"
        return fifth

    def missing_time() -> str:
        incidents[fifth]["opened_at"] = ""
        return fifth

    def delete() -> str:
        key = [*incidents][-1]
        instance_.delete("incident", key, AT)
        return key

    def work(at: datetime) -> str:
        key = instance_.open_incident("user3", at, priority="1")
        instance_.resolve(key, "alice", at)
        return key

    def absurd() -> Callable[[], None]:
        far = instance_.open_incident("user3", AT)
        incidents[far]["sys_updated_on"] = "2199-01-01 00:00:00"
        return lambda: incidents.__delitem__(far)

    def start_over() -> set[str]:
        for table in ("incident", "sc_req_item", "interaction", "change_request"):
            instance_.tables[table].clear()
        instance_.last = int(fifth, 16) - 1
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    def about(request: web.Request) -> bool:
        return request.path.endswith("/task_sla") and fifth in request.query.get("sysparm_query", "")

    return World(
        app=instance_.app(),
        options=Options(page_size=5, automation_users=("bot",)),
        auth=Auth.bearer(instance_.token),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=(fifth, about),
        place="ServiceNow's lists are asked for by time and id",
        zone="ServiceNow writes UTC, whatever the zone of the user",
        quiet_requests=9,
    )
