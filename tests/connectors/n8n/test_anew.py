"""n8n restored, set up anew or hit by odd ids: what is read, what is asked again, what a list does not show."""

from datetime import timedelta

import pytest

from exporter.base.errors import StartOver
from exporter.demo.fakes.n8n import N8n
from exporter.records import Run, Workflow
from tests.connectors.n8n.test_n8n import BEGAN, Poller
from tests.connectors.world import AT

MINUTE = timedelta(minutes=1)


def busy(n8n: N8n, flow: str, count: int, begin: int = 0) -> list[int]:
    """So many executions that end well, a minute apart."""
    made = []
    for number in range(begin, begin + count):
        made.append(n8n.start(flow, BEGAN + MINUTE * number))
        n8n.end(made[-1], BEGAN + MINUTE * number)
    return made


async def anew(poller: Poller) -> str:
    """Polls as the poller does; why it began anew, or nothing."""
    try:
        await poller.poll()
    except StartOver as error:
        poller.cursor = error.cursor
        await poller.poll()
        return str(error)
    return ""


def stored(poller: Poller) -> set[int]:
    return {int(key) for kind, key in poller.records if kind is Run}


async def test_a_restored_instance_that_passed_the_old_mark_unseen_is_read_anew() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    busy(n8n, flow, 40)
    poller = Poller(n8n, overlap=12)
    await poller.poll()
    for execution in [key for key in n8n.executions if key > 1010]:
        n8n.prune(execution)
    n8n.last_id = 1010
    busy(n8n, flow, 60, begin=100)
    why = await anew(poller)

    assert why.startswith("of the 10 newest executions read before, 10 are gone or changed")
    assert {run.started_at for run in poller.records.values() if isinstance(run, Run)} == {
        BEGAN + MINUTE * number for number in [*range(10), *range(100, 160)]
    }


async def test_a_few_executions_lost_to_a_restore_are_replaced_without_a_word() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    made = busy(n8n, flow, 40)
    n8n.end(made[-1], BEGAN, "error", business=True)
    poller = Poller(n8n, overlap=12)
    await poller.poll()
    for execution in made[-3:]:
        n8n.prune(execution)
    n8n.last_id -= 3
    again = busy(n8n, flow, 3, begin=100)
    n8n.end(again[-1], AT, "error")
    why = await anew(poller)

    assert why == ""
    assert poller.run(again[-1]).exception == "application"  # not what was known of the one that had the id before
    assert stored(poller) == set(made)


async def test_pruning_is_no_restore() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    made = busy(n8n, flow, 40)
    poller = Poller(n8n, overlap=12)
    await poller.poll()
    for execution in made[:-6]:
        n8n.prune(execution)

    assert await anew(poller) == ""
    assert stored(poller) == set(made)


async def test_workflows_of_before_are_gone_after_a_new_installation_and_their_runs_are_kept() -> None:
    n8n = N8n()
    before = busy(n8n, n8n.add_workflow("Old", BEGAN), 5)
    poller = Poller(n8n)
    await poller.poll()
    poller.n8n = fresh = N8n(last_id=0)
    fresh.add_workflow("Unused", BEGAN)
    flow = fresh.add_workflow("New", BEGAN)
    del fresh.workflows["wf0001"]
    made = busy(fresh, flow, 3)
    await anew(poller)

    assert stored(poller) == {*before, *made}
    assert [record.name for record in poller.records.values() if isinstance(record, Workflow)] == ["New"]


@pytest.mark.parametrize("old", [True, False])
async def test_an_approval_that_took_days_is_read_when_it_comes_to_an_end(old: bool) -> None:
    n8n = N8n(old=old)
    flow = n8n.add_workflow("Approval", BEGAN)
    approvals = [n8n.start(flow, BEGAN) for _ in range(3)]
    for execution in approvals:
        n8n.wait(execution, BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    busy(n8n, flow, 30)
    await poller.poll()
    for execution in approvals:
        n8n.end(execution, AT - timedelta(hours=2))
    busy(n8n, flow, 3, begin=40)
    await poller.poll()

    assert {poller.run(execution).status for execution in approvals} == {"succeeded"}


async def test_of_a_long_list_what_ended_late_is_read_within_the_hour() -> None:
    n8n = N8n(old=True)
    flow = n8n.add_workflow("Approval", BEGAN)
    approval = n8n.start(flow, BEGAN)
    n8n.wait(approval, BEGAN)
    made = busy(n8n, flow, 2_600)
    poller = Poller(n8n, page_size=250, overlap=200)
    await poller.poll()
    n8n.end(approval, AT + MINUTE)
    soon = await poller.poll(AT + MINUTE)
    unseen = approval not in stored(poller)
    await poller.poll(AT + timedelta(hours=1))

    assert soon.count("/executions") == 2 + 1  # running, waiting, and the newest of the list
    assert unseen
    assert poller.run(approval).status == "succeeded"
    assert stored(poller) == {approval, *made}


async def test_a_run_that_retries_itself_is_its_own_root() -> None:
    n8n = N8n()
    execution = n8n.start(n8n.add_workflow("Sync", BEGAN), BEGAN, retry_of=1)
    n8n.executions[execution]["retryOf"] = str(execution)
    n8n.end(execution, BEGAN)
    poller = Poller(n8n)
    asked = await poller.poll()

    assert (poller.run(execution).root_id, poller.run(execution).attempt) == (str(execution), 1)
    assert len(asked) < 8


async def test_a_run_of_a_workflow_that_cannot_be_asked_about_has_no_name_until_it_can() -> None:
    n8n = N8n()
    n8n.add_workflow("Old", BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    execution = busy(n8n, n8n.add_workflow("New", BEGAN), 1)[0]
    n8n.faults.about, n8n.faults.after = lambda request: request.path.endswith("/workflows/wf0002"), 500
    poller.attempts = 1
    await poller.poll()
    before = poller.run(execution).workflow
    n8n.faults.after = None
    await poller.poll(AT + MINUTE * 10)

    assert (before, poller.run(execution).workflow) == (None, "New")
    assert poller.cursor["owed"] == {}


async def test_an_id_of_five_thousand_digits_stops_nothing() -> None:
    n8n = N8n()
    made = busy(n8n, n8n.add_workflow("Sync", BEGAN), 5)
    n8n.executions[made[2]]["id"] = "9" * 5_000
    poller = Poller(n8n, page_size=50)
    await poller.poll()
    await poller.poll()

    assert {made[0], made[1], made[3], made[4]} <= {
        int(key) for kind, key in poller.records if kind is Run and len(key) < 9
    }


async def test_half_an_emoji_in_a_workflow_stops_nothing() -> None:
    n8n = N8n()
    made = busy(n8n, n8n.add_workflow("Sync", BEGAN), 5)
    draft = n8n.workflows[n8n.add_workflow("Draft \ud83d", BEGAN)]
    draft["nodes"].append({"name": "Note", "type": "n8n-nodes-base.stickyNote", "parameters": {"content": "\ud83d"}})
    poller = Poller(n8n)
    await poller.poll()

    assert stored(poller) == set(made)


async def test_no_execution_is_lost_whose_data_cannot_be_unpacked() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Invoice intake", BEGAN)
    made = busy(n8n, flow, 20)
    broken, told = n8n.start(flow, BEGAN), n8n.start(flow, BEGAN)
    for execution in (broken, told):
        n8n.end(execution, AT - MINUTE, "error")
    n8n.faults.about, n8n.faults.after = lambda request: request.path.endswith(f"/executions/{broken}"), 500
    poller = Poller(n8n)
    poller.attempts = 1
    await poller.poll()
    kinds = [poller.run(execution).exception for execution in (broken, told)]
    asked = await poller.poll(AT + MINUTE)
    again = await poller.poll(AT + MINUTE * 6)
    n8n.faults.after = None
    await poller.poll(AT + MINUTE * 60)

    assert stored(poller) == {*made, broken, told}
    assert kinds == [None, "application"]
    assert [f"/executions/{broken}" in each for each in (asked, again)] == [False, True]
    assert poller.run(broken).exception == "application"


async def test_a_workflow_without_an_id_costs_no_other() -> None:
    n8n = N8n()
    runs = busy(n8n, n8n.add_workflow("Well", BEGAN), 3)
    del n8n.workflows[n8n.add_workflow("Odd", BEGAN)]["id"]
    poller = Poller(n8n)
    await poller.poll()

    assert stored(poller) == set(runs)
    assert [key for kind, key in poller.records if kind is Workflow] == ["wf0001"]
