"""UiPath for the contract suite: a month of queue items, some retried, and of jobs, in two folders."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.uipath import Options
from tests.connectors.world import AT, World
from tests.fakes.uipath import PATH, UiPath

BEGAN = AT - timedelta(days=30)
MINUTE = timedelta(minutes=1)


def tenant() -> UiPath:
    """Folders 1 and 2; queue 3 is in both. Processes 4 (which works on the queue), 5 and 6."""
    fake = UiPath()
    finance, sales = fake.folder("Finance"), fake.folder("Sales")
    invoices = fake.queue("Invoices", finance, sales)
    fake.process("Invoice_Bot", finance)
    fake.trigger(finance, fake.process("Report", finance))
    fake.process("Quote", sales)
    for day in range(12):
        at = BEGAN + timedelta(days=2 * day)
        failed = (None, None, "BusinessException", "ApplicationException")[day % 4]
        robot = fake.key(fake.job(finance, "Invoice_Bot", at))
        retry = fake.work(invoices, at, failed, retries=1, job=robot)
        if failed == "ApplicationException":
            fake.begin(retry, at + MINUTE, robot)
            fake.end(retry, at + 2 * MINUTE)
        fake.job((finance, sales)[day % 2], ("Report", "Quote")[day % 2], at, ("Successful", "Faulted")[day % 5 == 4])
    fake.begin(
        fake.item(invoices, AT - 9 * MINUTE),
        AT - 8 * MINUTE,
        fake.key(fake.job(finance, "Invoice_Bot", AT - 9 * MINUTE, "Running")),
    )
    fake.item(invoices, AT - 7 * MINUTE)
    fake.job(sales, "Quote", AT - 5 * MINUTE, "Running")
    return fake


def world(_folder: Path) -> World:
    fake = tenant()
    items, jobs = fake.lists["QueueItems"], fake.lists["Jobs"]
    third, robot = [*items][2], str(items[next(iter(items))]["ExecutorJobKey"])

    def unknown_word() -> str:
        items[third]["Status"] = "Pondering"
        return f"item-{third}"

    def missing_time() -> str:
        items[third]["StartProcessing"] = None
        return f"item-{third}"

    def delete() -> str:
        last = [*items][-1]
        del items[last]
        return f"item-{last}"

    def work(at: datetime) -> str:
        return f"item-{fake.work(3, at, job=robot)}"

    def absurd() -> Callable[[], None]:
        far = fake.work(3, AT + timedelta(days=365))
        return lambda: items.__delitem__(far)

    def start_over() -> set[str]:
        items.clear()
        jobs.clear()
        fake.last_id = 9
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    return World(
        app=fake.app(),
        options=Options(page_size=4),
        auth=Auth.bearer(fake.token),
        path=PATH,
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one="nothing is asked about single items",
        place="lists are asked for by id, which is no token",
        zone="Orchestrator writes UTC, wherever it stands",
        quiet_requests=14,  # but for four of them once an hour or a day
    )
