"""Prefect restored, protected, older, or with clocks that are ahead; and what becomes of a run that crashed or lost its
deployment."""

from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from exporter.base.errors import Forbidden, StartOver
from exporter.connectors.prefect.mapping import described
from exporter.demo.fakes.prefect import Prefect
from exporter.records import Run
from tests.connectors.prefect.test_prefect import BEGAN, Poller
from tests.connectors.world import AT

MINUTE = timedelta(minutes=1)


def stored(poller: Poller) -> set[str]:
    return {key for kind, key in poller.records if kind is Run}


async def test_a_server_that_wants_csrf_tokens_is_given_one() -> None:
    prefect = Prefect(csrf=True)
    run = prefect.execute(prefect.add_deployment("sync", "prod", BEGAN), BEGAN, 5, tries=2)
    poller = Poller(prefect)
    asked = await poller.poll()

    assert run in stored(poller)
    assert [each for each in asked if each.endswith("/csrf-token")] == ["GET /api/csrf-token"]


class Forgetful(Prefect):
    """Its tokens run out with every question about runs."""

    async def _filter_runs(self, request: web.Request) -> web.Response:
        self.csrf_tokens.clear()
        return await super()._filter_runs(request)


async def test_a_csrf_token_that_runs_out_is_fetched_anew() -> None:
    prefect = Forgetful(csrf=True)
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    runs = {prefect.execute(deployment, BEGAN + MINUTE * number, 5) for number in range(8)}
    poller = Poller(prefect)
    asked = await poller.poll()

    assert stored(poller) == runs
    assert asked.count("GET /api/csrf-token") > 1


async def test_what_is_refused_for_another_reason_says_so() -> None:
    prefect = Prefect()
    prefect.faults.about, prefect.faults.after = lambda request: request.method == "POST", 403

    with pytest.raises(Forbidden, match="the credential is refused"):
        await Poller(prefect).poll()


@pytest.mark.parametrize("release", ["3.4.0", "3.8.8"])
async def test_runs_that_have_not_begun_are_read_from_every_release(release: Any) -> None:
    prefect = Prefect(release=release)
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    late = prefect.schedule(deployment, AT - MINUTE * 9, automatic=True)
    prefect.state(late, "SCHEDULED", AT - MINUTE * 8, name="Late")
    pending = prefect.schedule(deployment, AT - MINUTE * 7)
    prefect.state(pending, "PENDING", AT - MINUTE * 6)
    poller = Poller(prefect)
    await poller.poll()

    assert [poller.tries(run)[0].status for run in (late, pending)] == ["waiting", "waiting"]


async def test_runs_of_a_deleted_deployment_are_called_by_their_flow() -> None:
    prefect = Prefect()
    deleted, there = (prefect.add_deployment("invoice-sync", name, BEGAN) for name in ("v1", "v2"))
    old, new = prefect.execute(deleted, BEGAN, 5), prefect.execute(there, BEGAN, 5)
    del prefect.deployments[deleted]
    poller = Poller(prefect)
    await poller.poll()

    assert [poller.tries(run)[0].workflow for run in (old, new)] == ["invoice-sync", "invoice-sync/v2"]


async def test_a_run_that_crashed_and_began_later_all_the_same_came_to_the_end_it_came_to() -> None:
    prefect = Prefect()
    run = prefect.schedule(prefect.add_deployment("sync", "prod", BEGAN), BEGAN)
    prefect.state(run, "CRASHED", BEGAN + MINUTE * 5)
    poller = Poller(prefect)
    await poller.poll()
    crashed = [(each.status, each.started_at) for each in poller.tries(run)]
    prefect.runs[run]["start_time"] = None
    prefect.state(run, "RUNNING", BEGAN + MINUTE * 10)
    await poller.poll()
    running = [each.status for each in poller.tries(run)]
    prefect.state(run, "COMPLETED", BEGAN + MINUTE * 250)
    await poller.poll()

    assert crashed == [("failed", None)]
    assert running == ["running"]
    assert [(each.status, each.attempt) for each in poller.tries(run)] == [("succeeded", 1)]


async def test_a_mark_that_an_earlier_version_let_run_ahead_is_none() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    runs = {prefect.execute(deployment, BEGAN + MINUTE * number, 5) for number in range(5)}
    poller = Poller(prefect)
    poller.cursor = {"ended": (AT + timedelta(days=1)).isoformat(), "open": [], "tried": {}, "deployments": []}
    await poller.poll()

    assert stored(poller) == runs


async def test_a_run_that_is_tried_again_by_hand_is_no_restore() -> None:
    prefect = Prefect()
    run = prefect.execute(prefect.add_deployment("sync", "prod", BEGAN), BEGAN, 5, "FAILED")
    poller = Poller(prefect)
    await poller.poll()
    prefect.state(run, "SCHEDULED", AT, name="AwaitingRetry")
    await poller.poll()

    assert [each.status for each in poller.tries(run)] == ["failed", "waiting"]


async def test_a_history_that_is_older_than_what_was_read_begins_anew() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    for number in range(5):
        prefect.execute(deployment, BEGAN + MINUTE * number, 5)
    poller = Poller(prefect)
    await poller.poll()
    prefect.runs.clear()
    prefect.execute(deployment, BEGAN - timedelta(days=9), 5)

    with pytest.raises(StartOver, match="of the 5 newest runs read before, 5 are gone"):
        await poller.poll()


def test_a_deployment_whose_flow_is_no_id_keeps_its_own_name() -> None:
    deployment = {"id": "d1", "name": "prod", "flow_id": {"id": "f1"}}

    assert described([{"id": "f1", "name": "Sync"}], [deployment])["d1"]["workflow_name"] == "prod"
