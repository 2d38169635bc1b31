"""What is pushed: who may come in, what is answered when, and that what was answered is stored."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import needs
from exporter.collect.delivery import REASONS, Refused
from exporter.collect.mapping import compiled
from exporter.collect.poll import poll_once
from exporter.collect.receive import PIECE
from exporter.collect.signature import FORMS, Door, SchemeName, key_of
from exporter.collect.status import status
from exporter.connectors import CONNECTORS, events
from exporter.records.columns import Rule
from exporter.server.gate import Gate
from exporter.server.hooks import ROUTES, Hooks
from exporter.server.reach import reach
from tests.connectors.world import AT
from tests.receiving import STRUCTURED, TOKEN, Listening, listening, run, signed, source

BEARER = {"Authorization": f"Bearer {TOKEN}"}
BATCH = {**BEARER, "Content-Type": "application/cloudevents-batch+json"}
NOON = "2026-03-30T12:00:00Z"


def at(minute: int) -> str:
    return f"2026-03-30T12:{minute:02}:00Z"


VECTORS: Mapping[SchemeName, tuple[str, bytes, dict[str, str], int | None]] = {
    "github": (
        "It's a Secret to Everybody",
        b"Hello, World!",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        None,
    ),
    "pagerduty": (
        "topsecret",
        b'{"event":{"id":"E1"}}',
        {"x-pagerduty-signature": "v1=00, v1=d54501c69f6f1ec49f1f4b23f91877df94a0fdea6926b8d07f4ed2abbc9ec35e"},
        None,
    ),
    "calendly": (
        "topsecret",
        b'{"event":"invitee.created"}',
        {
            "calendly-webhook-signature": "t=1769990400,"
            "v1=66315a8edf1d3223273b5efcecb9d955135c8b06d29a87ab551215c446f4bbe1"
        },
        1769990400,
    ),
    "calcom": (
        "topsecret",
        b'{"triggerEvent":"BOOKING_CREATED"}',
        {"x-cal-signature-256": "309363b302967f2d31cb7ba85a97448be694f4f3dc081a85031ab04ee3a74cc1"},
        None,
    ),
    "standard-webhooks": (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        b'{"test": 2432232314}',
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1a,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        1614265330,
    ),
    "slack": (  # as published by Slack
        "8f742231b10e8888abcd99yyyzzz85a5",
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        {
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        1531420618,
    ),
    "zendesk": (
        "topsecret",
        b"{}",
        {
            "x-zendesk-webhook-signature-timestamp": "2026-02-02T00:00:00Z",
            "x-zendesk-webhook-signature": "jfo1ZU7IvbMxtFHoFhlzqASkt82GFOXJoEwygncxtsI=",
        },
        None,
    ),
}


def refusal(door: Door, headers: Mapping[str, str], body: bytes, when: datetime) -> str | None:
    try:
        door.check_headers(headers)
        door.check_body(headers, body, when)
    except Refused as why:
        return why.reason
    return None


@pytest.mark.parametrize("scheme", VECTORS)
def test_a_signature_is_right_as_its_sender_makes_it_and_not_of_another_body_secret_or_time(scheme: SchemeName) -> None:
    secret, body, headers, signed_at = VECTORS[scheme]
    when = datetime.fromtimestamp(signed_at or 1769990400, UTC)
    door = Door(scheme, ("another", secret) if scheme != "standard-webhooks" else ("whsec_AAAA", secret), 1024)
    late, early = when + timedelta(seconds=301), when - timedelta(seconds=301)
    timed = {name: "9" + value[1:] for name, value in headers.items() if "time" in name} or headers

    assert refusal(door, headers, body, when) is None
    assert refusal(door, headers, body, when + timedelta(seconds=300)) is None
    assert refusal(door, headers, body + b" ", when) == "wrong_credential"
    assert refusal(Door(scheme, (secret[:-4] + "AAAA",), 1024), headers, body, when) == "wrong_credential"
    assert refusal(door, {}, body, when) == "no_credential"
    expected = "too_old" if signed_at else None
    assert (refusal(door, headers, body, late), refusal(door, headers, body, early)) == (expected, expected)
    if timed is not headers:
        assert refusal(door, {**headers, **timed}, body, when) == "wrong_credential"


def test_every_form_of_signature_has_a_vector() -> None:
    assert FORMS.keys() == VECTORS.keys()


def test_svix_calls_its_headers_otherwise() -> None:
    secret, body, headers, signed_at = VECTORS["standard-webhooks"]
    named = {name.replace("webhook", "svix"): value for name, value in headers.items()}

    when = datetime.fromtimestamp(signed_at or 0, UTC)
    assert refusal(Door("standard-webhooks", (secret,), 1024), named, body, when) is None


def test_a_secret_of_standard_webhooks_is_base64() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        key_of("standard-webhooks", "whsec_not base64")


@pytest.mark.parametrize("name", CONNECTORS)
def test_who_is_pushed_has_a_route_of_the_server(name: str) -> None:
    its = needs(CONNECTORS[name])

    assert (its.route in ROUTES, bool(its.read_event)) == (bool(its.receive), bool(its.receive))


async def test_what_is_answered_with_202_is_stored(tmp_path: Path) -> None:
    async with listening(tmp_path / "store") as here:
        status_, text, _ = await here.post(run("1", status="running", time=NOON))

        assert (status_, text) == (202, "")
        assert here.rows("select id, source, status from run") == [("1", "pipelines", "running")]
        assert here.value("events_received_total") == 1
        assert here.value("event_lag_seconds") == 12 * 3600
        assert here.value("records_total", record="run") == 1
        assert (
            here.value("watermark_timestamp_seconds", record="run") == datetime(2026, 3, 30, 12, tzinfo=UTC).timestamp()
        )


async def test_events_in_any_order_make_the_same_record(tmp_path: Path) -> None:
    said = [
        run("{}", event="{} a", time=at(1), status="running", started_at=at(1), workflow="sync", owner="ada"),
        run("{}", event="{} b", time=at(2), status="failed", finished_at=at(2), owner=None),
        run("{}", event="{} c", time=at(3), status="running", finished_at=None, human_override=True),
        run("{}", event="{} d", time=at(4), status="succeeded", finished_at=at(4)),
    ]
    orders = [json.loads(json.dumps(order).replace("{}", f"{i}")) for i, order in enumerate(permutations(said))]
    async with listening(tmp_path / "store") as here:
        for order in (orders[0], orders[-1]):
            for event in order:
                await here.post(event)
        await here.post([event for order in orders[1:-1] for event in order], BATCH)

        columns = "status, workflow, owner, human_override, started_at, finished_at, updated_at, count(*)"
        rows = here.rows(f"select {columns} from run group by all")
        moments = [datetime(2026, 3, 30, 12, minute) for minute in (1, 4, 4)]  # noqa: DTZ001 - as stored
        assert rows == [("succeeded", "sync", None, True, *moments, 24)]


async def test_what_a_default_fills_in_is_only_where_no_event_says_it(tmp_path: Path) -> None:
    rules = {"team": [Rule(field="custom.team", default="shared")], "region": [Rule(value="emea")]}
    async with listening(tmp_path / "store", source(mapping=compiled(rules, events.RECORDS))) as here:
        await here.post(run("1", time=at(1), custom={"team": "payments"}))
        await here.post(run("1", time=at(2), status="succeeded"))
        await here.post(run("2", time=at(1), status="succeeded"))
        before = here.rows("select id, team, region, status from run order by id")
        await here.post(run("2", time=at(0), custom={"team": "desk"}))

        assert before == [("1", "payments", "emea", "succeeded"), ("2", "shared", "emea", "succeeded")]
        assert here.rows("select team from run where id = '2'") == [("desk",)]


async def test_an_event_that_comes_again_changes_nothing_and_is_counted_after_a_restart_too(tmp_path: Path) -> None:
    first = run("1", event="e1", status="running")
    async with listening(tmp_path / "store") as here:
        await here.post(first)
        await here.post(run("1", event="e2", status="failed"))
        assert (await here.post(first))[0] == 202
        assert here.value("events_repeated_total") == 1
        assert here.rows("select status from run") == [("failed",)]
    async with listening(tmp_path / "store") as here:
        await here.post(first)
        assert here.value("events_repeated_total") == 1
        assert here.rows("select status from run") == [("failed",)]


async def test_events_are_remembered_for_a_week(tmp_path: Path) -> None:
    first = run("1", event="e1", status="running")
    async with listening(tmp_path / "store") as here:
        await here.post(first)
        here.clock[-1] = AT + timedelta(days=8)
        await here.post(run("2"))
        await here.post(first)

        assert here.value("events_repeated_total") == 0
    async with listening(tmp_path / "store") as here:
        here.clock[-1] = AT + timedelta(days=9)
        await here.post(run("3"))

        assert here.rows("select count(*) from delivery") == [(3,)]


REFUSED: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("nobody", run("1"), STRUCTURED, 401, "no_credential"),
    ("a password", run("1"), {**STRUCTURED, "Authorization": "Basic c2VzYW1lOg=="}, 401, "no_credential"),
    ("another token", run("1"), {**STRUCTURED, "Authorization": "Bearer sesam"}, 401, "wrong_credential"),
    ("too much", b" " * 3000, {**STRUCTURED, **BEARER}, 413, "too_large"),
    ("a bomb", gzip.compress(b" " * 3000), {**STRUCTURED, **BEARER, "Content-Encoding": "gzip"}, 413, "too_large"),
    ("no gzip", b"{}", {**STRUCTURED, **BEARER, "Content-Encoding": "gzip"}, 400, "wrong_encoding"),
    (
        "half a gzip",
        gzip.compress(b"{}")[:-4],
        {**STRUCTURED, **BEARER, "Content-Encoding": "gzip"},
        400,
        "wrong_encoding",
    ),
    ("brotli", b"{}", {**STRUCTURED, **BEARER, "Content-Encoding": "br"}, 415, "wrong_encoding"),
    ("no event", b"{}", {**BEARER, "Content-Type": "application/json"}, 415, "wrong_type"),
    ("no JSON", b"{", {**BEARER, **STRUCTURED}, 400, "not_readable"),
]


@pytest.mark.parametrize(("what", "body", "headers", "status_", "reason"), REFUSED, ids=[each[0] for each in REFUSED])
async def test_a_refusal_is_counted_by_its_reason_and_stores_nothing(
    what: str, body: Any, headers: dict[str, str], status_: int, reason: str, tmp_path: Path
) -> None:
    async with listening(tmp_path / "store", source(most_bytes=2048)) as here:
        got, text, answered = await here.post(body, headers)

        assert (got, reason in REASONS) == (status_, True), what
        assert {each: here.value("deliveries_refused_total", reason=each) for each in REASONS} == {
            each: float(each == reason) for each in REASONS
        }
        assert ("WWW-Authenticate" in answered) == (status_ == 401)
        assert "sesame" not in text
        assert here.rows("select count(*) from run") == [(0,)]


async def test_a_body_that_never_tells_its_length_ends_at_the_limit(tmp_path: Path) -> None:
    async def without_length() -> Any:
        for _ in range(32):
            yield b" " * 1024

    async with (
        listening(tmp_path / "store", source(most_bytes=4096)) as here,
        here.http.post(
            here.url + "/events/pipelines", data=without_length(), headers={**BEARER, **STRUCTURED}
        ) as response,
    ):
        assert response.status == 413


async def test_the_signature_is_of_the_bytes_as_they_were_sent(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(run("1")).encode())
    headers = {**STRUCTURED, "Content-Encoding": "gzip"}
    async with listening(tmp_path / "store", source("pipelines", "github", "old", "new")) as here:
        assert (await here.post(packed, {**headers, **signed("new", packed)}))[0] == 202
        assert (await here.post(packed, {**headers, **signed("old", packed)}))[0] == 202
        assert (await here.post(packed, {**headers, **signed("other", packed)}))[0] == 401


async def test_nothing_of_a_body_is_looked_at_before_its_signature_is_right(tmp_path: Path) -> None:
    async with listening(tmp_path / "store", source("pipelines", "github", "right")) as here:
        got, _, _ = await here.post(b"not JSON", {**STRUCTURED, **signed("wrong", b"not JSON")})

        assert (got, here.value("deliveries_refused_total", reason="not_readable")) == (401, 0)


async def test_nobody_receives_where_no_source_is_and_other_methods_are_none(tmp_path: Path) -> None:
    async with listening(tmp_path / "store") as here:
        assert (await here.post(run("1"), path="/events/other"))[0] == 404
        assert (await here.post(run("1"), path="/otlp/pipelines/v1/traces"))[0] == 404
        assert (await here.post(run("1"), method="PUT"))[0] == 405
        here.inbox.apply([])
        assert (await here.post(run("1")))[0] == 404
        assert here.value("events_received_total") is None


async def test_a_sender_asks_by_the_handshake_of_cloudevents_and_is_told_that_it_may(tmp_path: Path) -> None:
    asking = {"WebHook-Request-Origin": "grid.example.com", "WebHook-Request-Rate": "120"}
    async with listening(tmp_path / "store") as here:
        got, _, headers = await here.post(b"", asking, method="OPTIONS")
        elsewhere, _, _ = await here.post(b"", asking, method="OPTIONS", path="/events/other")

        assert (got, headers["WebHook-Allowed-Origin"], headers["WebHook-Allowed-Rate"]) == (
            200,
            "grid.example.com",
            "*",
        )
        assert elsewhere == 404


async def test_passwords_for_readers_are_not_asked_of_senders_nor_their_tokens_good_for_reading(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users:\n  ada: $2b$04$KZ7cdGRxFqeTrvvBM5vBh.wvXBIzOvnQzXgT8WkDSDlOmDkLFBDIa\n")
    async with listening(tmp_path / "store", gate=Gate(web), reach=reach("/outcome")) as here:
        assert (await here.post(run("1"), path="/outcome/events/pipelines"))[0] == 202
        assert (await here.post(run("1"), path="/outcome/events/other"))[0] == 401
        async with here.http.get(here.url + "/outcome/metrics", headers=BEARER) as response:
            assert response.status == 401


async def test_an_unknown_type_is_accepted_counted_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {**run("1", secret="do not log"), "type": "com.example.pondering"}
    async with listening(tmp_path / "store") as here:
        with caplog.at_level(logging.INFO, "exporter"):
            for number in range(3):
                assert (await here.post({**odd, "id": f"e{number}"}))[0] == 202
            await here.post([{**odd, "id": f"t{number}", "type": f"type.{number}"} for number in range(60)], BATCH)

        assert here.value("events_unused_total", type="com.example.pondering") == 3
        assert here.value("events_unused_total", type="other") == 11
        assert sum("pondering" in line for line in caplog.messages) == 1
        assert len(caplog.messages) == 51
        assert "do not log" not in caplog.text


async def test_an_event_that_cannot_be_read_is_counted_and_the_others_are_stored(tmp_path: Path) -> None:
    async with listening(tmp_path / "store") as here:
        batch = [run("1", status="pondering"), run("2", status="failed", human_override="perhaps"), run("3")]
        await poll_once(source(), here.store, here.health, AT)
        got, _, _ = await here.post(batch, BATCH)
        outcome = await poll_once(source(), here.store, here.health, AT)

        assert (got, outcome.reason) == (202, None)
        assert here.rows("select id from run order by id") == [("2",), ("3",)]
        assert here.value("items_left_out", column="status", reason="unknown_word") == 1
        assert here.value("values_left_out", column="human_override", reason="unknown_word") == 1
        assert here.value("items_skipped_total", reason="unknown_word") == 1


async def test_a_source_that_is_pushed_is_whole_from_its_start_and_fresh_while_somebody_listens(tmp_path: Path) -> None:
    async with listening(tmp_path / "store") as here:
        await poll_once(source(), here.store, here.health, AT)
        later = AT + timedelta(days=2)
        stale = status(source(), here.store, later)
        await poll_once(source(), here.store, here.health, later)
        fresh = status(source(), here.store, later)

        assert (stale.complete, stale.stale, stale.whole_since) == (True, True, AT)
        assert (fresh.complete, fresh.stale, fresh.whole_since) == (True, False, AT)
        assert fresh.begun == frozenset()


NOT_UTF8: list[tuple[str, str]] = [
    ("/events/pipelines", "Authorization: Bearer \xff"),
    ("/events/signed", "X-Hub-Signature-256: sha256=\xff"),
    ("/events/timed", "webhook-id: \xff\r\nwebhook-timestamp: \xff\r\nwebhook-signature: v1,\xff"),
]


@pytest.mark.parametrize(("path", "lines"), NOT_UTF8)
async def test_bytes_that_are_no_text_in_headers_are_a_wrong_credential_and_no_line_in_the_log(
    path: str, lines: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    doors = [source(), source("signed", "github", "s"), source("timed", "standard-webhooks", "whsec_AAAA")]
    async with listening(tmp_path / "store", *doors) as here:
        host, _, port = here.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{lines}\r\n\r\n{{}}".encode("latin-1"))
        first = await reader.readline()
        writer.close()

    assert first == b"HTTP/1.1 401 Unauthorized\r\n"
    assert caplog.messages == []


async def test_an_event_of_a_batch_that_is_none_does_not_cost_the_others_and_is_counted_once(tmp_path: Path) -> None:
    batch = [run("1"), {"specversion": "1.0", "type": "about Ada Lovelace"}, run("2")]
    async with listening(tmp_path / "store") as here:
        await poll_once(source(), here.store, here.health, AT)
        first, _, _ = await here.post(batch, BATCH)
        again, _, _ = await here.post(batch, BATCH)
        none, text, _ = await here.post(batch[1:2], BATCH)
        await poll_once(source(), here.store, here.health, AT)

        assert (first, again, none, text) == (202, 202, 400, "the event has no id\n")
        assert here.rows("select id from run order by id") == [("1",), ("2",)]
        assert here.value("items_left_out", column="item", reason="missing") == 1
        assert here.value("events_repeated_total") == 3
    assert b"Lovelace" not in (tmp_path / "store").read_bytes()


async def test_a_type_that_is_no_word_is_neither_shown_nor_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path / "store") as here:
        with caplog.at_level(logging.INFO, "exporter"):
            assert (await here.post({**run("1"), "type": "my name is Ada Lovelace"}))[0] == 202

        assert here.value("events_unused_total", type="other") == 1
        assert "Lovelace" not in caplog.text


async def test_old_events_that_are_sent_once_more_do_not_bring_back_a_person_who_was_erased(tmp_path: Path) -> None:
    def ticket(event: str, minute: int) -> dict[str, Any]:
        return {**run("1", event=event, time=at(minute), requester="ada", outcome="open"), "type": "outcome.request"}

    async with listening(tmp_path / "store") as here:
        await here.post(ticket("a", 1))
        erased = here.store.erase_person("ada")
        await here.post(ticket("b", 1))
        await here.post(ticket("c", 0))

        assert erased == {"request": 1}
        assert here.rows("select requester, outcome from request") == [(None, "open")]


async def test_a_large_delivery_is_stored_piece_by_piece_beside_another_one(tmp_path: Path) -> None:
    many = [[run(f"{sender} {number}") for number in range(2 * PIECE + 1)] for sender in range(2)]
    async with listening(tmp_path / "store", most_waiting=2 * PIECE) as here:
        got = await asyncio.gather(*(here.post(each, BATCH) for each in many))

        assert [status_ for status_, _, _ in got] == [202, 202]
        assert here.rows("select count(*) from run") == [(4 * PIECE + 2,)]


async def test_hundreds_at_once_are_stored_in_few_transactions(tmp_path: Path) -> None:
    async with listening(tmp_path / "store") as here:
        got = await asyncio.gather(*(here.post(run(f"{number}", status="failed")) for number in range(100)))
        commits = here.rows("select count(distinct came_at) from delivery")

        assert {status_ for status_, _, _ in got} == {202}
        assert here.rows("select count(*) from run") == [(100,)]
        assert commits == [(1,)]  # the clock stands still


async def test_more_than_can_wait_is_sent_again_later(tmp_path: Path) -> None:
    many = [run(f"{number}") for number in range(6)]
    async with listening(tmp_path / "store", most_waiting=10) as here:
        got = await asyncio.gather(*(here.post(many, BATCH) for _ in range(2)))

        answers = {status_: headers for status_, _, headers in got}
        assert sorted(answers) == [202, 503]
        assert answers[503]["Retry-After"] == "5"
        assert here.value("deliveries_refused_total", reason="busy") == 1


async def test_a_store_that_cannot_be_written_is_503_and_nothing_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "store"
    async with listening(path) as here:
        here.store.close()
        path.unlink()
        path.mkdir()
        got, _, headers = await here.post(run("1", event="e"))
        path.rmdir()
        again, _, _ = await here.post(run("1", event="e"))

        assert (got, headers["Retry-After"], again) == (503, "5", 202)
        assert here.rows("select id from run") == [("1",)]


@asynccontextmanager
async def hooks_alone(here: Listening, **limits: Any) -> AsyncIterator[str]:
    """The same paths with other limits, at an address of their own."""
    app = web.Application()
    Hooks(here.inbox, "", **limits).add_to(app)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    try:
        yield str(server.make_url("/events/pipelines"))
    finally:
        await server.close()


async def test_what_is_held_of_all_bodies_counts_what_they_unpack_to_and_is_given_back(tmp_path: Path) -> None:
    large = gzip.compress(json.dumps(run("1", workflow="x" * 3000)).encode())
    packed = {**BEARER, **STRUCTURED, "Content-Encoding": "gzip"}
    async with listening(tmp_path / "store") as here, hooks_alone(here, most_held=2000) as url:
        for _ in range(2):
            async with here.http.post(url, data=large, headers=packed) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "5")
        async with here.http.post(url, json=run("1"), headers={**BEARER, **STRUCTURED}) as response:
            assert response.status == 202

        assert here.value("deliveries_refused_total", reason="busy") == 2


async def test_a_body_that_does_not_arrive_in_time_is_refused_as_too_slow(tmp_path: Path) -> None:
    async def half() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    async with listening(tmp_path / "store") as here, hooks_alone(here, read_seconds=0.05) as url:
        async with here.http.post(url, data=half(), headers={**BEARER, **STRUCTURED}) as response:
            assert response.status == 408

        assert here.value("deliveries_refused_total", reason="too_slow") == 1


@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_taken_once_the_file_of_the_store_is_not_the_one_that_is_open(
    replaced: bool, tmp_path: Path
) -> None:
    path = tmp_path / "store"
    async with listening(path) as here:
        await here.post(run("1"))
        path.rename(tmp_path / "moved")
        if replaced:
            path.write_bytes((tmp_path / "moved").read_bytes())
        got, _, headers = await here.post(run("2"))
        path.unlink(missing_ok=True)
        (tmp_path / "moved").rename(path)
        again, _, _ = await here.post(run("2"))

        assert (got, headers["Retry-After"], again) == (503, "5", 202)
        assert here.rows("select id from run order by id") == [("1",), ("2",)]


async def test_what_a_source_leaves_behind_is_erased(tmp_path: Path) -> None:
    async with listening(tmp_path / "store") as here:
        await here.post(run("1"))
        here.store.erase_source("pipelines")

        assert here.rows("select id from run union all select source from delivery") == []
