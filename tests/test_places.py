"""Connections over real sockets: how many there may be, who makes room, and a process that runs out of files."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from exporter.server.gate import Gate
from exporter.server.places import Listening, Places, origin, quiet
from exporter.server.turns import Busy, Turns
from tests import deadline
from tests.program import running
from tests.test_program import bookings, config
from tests.test_server import Stage, figures
from tests.test_web import TLS, certificate, trusting

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    for server in stage.servers:
        await server.stop()


async def opened(port: int, count: int, sent: bytes = b"", peer: str = "127.0.0.1") -> list[Stream]:
    streams = [await asyncio.open_connection("127.0.0.1", port, local_addr=(peer, 0)) for _ in range(count)]
    for _, writer in streams:
        writer.write(sent)
        await writer.drain()
    return streams


async def asked(port: int, peer: str = "127.0.0.1") -> bytes:
    """The first line of what /-/healthy answers, and nothing where it is hung up."""
    [(reader, writer)] = await opened(port, 1, HEALTHY, peer)
    try:
        return await asyncio.wait_for(reader.readline(), deadline.seconds(10))
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def ended(streams: list[Stream]) -> int:
    """How many have been hung up."""
    count = 0
    for reader, _ in streams:
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
                count += 1
    return count


def closed(streams: list[Stream]) -> None:
    for _, writer in streams:
        writer.transport.abort()


@pytest.mark.parametrize("sent", [b"", b"GET /met", HEALTHY], ids=["silent", "half a line", "kept alive"])
async def test_idle_connections_make_room_for_a_newcomer_one_each(stage: Stage, sent: bytes) -> None:
    await stage.start(most=20)
    idle = await opened(stage.port, 20, sent)
    answers = [await asked(stage.port) for _ in range(5)]
    gone = await ended(idle) if not sent.endswith(b"\n") else None
    closed(idle)

    assert answers == [b"HTTP/1.1 200 OK\r\n"] * 5
    assert gone in (None, 1, 2)  # a newcomer that is done makes room itself


async def test_a_crowd_from_one_address_pushes_out_itself_and_nobody_else(stage: Stage) -> None:
    await stage.start(most=20)
    modest = await opened(stage.port, 2, HEALTHY, peer="127.0.0.2")
    for reader, _ in modest:
        await reader.readuntil(b"healthy.\n")
    crowd = await opened(stage.port, 60, b"GET /met")
    answer = await asked(stage.port, peer="127.0.0.3")
    gone = await ended(modest), await ended(crowd)
    closed([*modest, *crowd])

    assert answer == b"HTTP/1.1 200 OK\r\n"
    assert gone[0] == 0
    assert gone[1] >= 42


@pytest.mark.slow
async def test_scrapers_that_never_read_make_room_when_one_address_holds_all(stage: Stage) -> None:
    await stage.start(most=10)
    await figures(stage, 200_000)
    slow = await opened(stage.port, 10, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    for reader, _ in slow:
        await reader.readuntil(b"\r\n\r\n")
    own, other = await asked(stage.port), await asked(stage.port, peer="127.0.0.2")
    closed(slow)

    assert (own, other) == (b"", b"HTTP/1.1 200 OK\r\n")


async def test_a_handshake_that_never_ends_has_a_place_too(stage: Stage, tmp_path: Path) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(TLS)
    await stage.start(most=10, gate=Gate(tmp_path / "web.yaml"))
    hanging = await opened(stage.port, 30, b"\x16\x03\x01")
    async with ClientSession() as http, http.get(f"{stage.base}/-/healthy", ssl=trusting(tmp_path)) as response:
        status = response.status
    gone = await ended(hanging)
    closed(hanging)

    assert status == 200
    assert gone >= 21


@asynccontextmanager
async def listened(places: Places, accepted: list[int]) -> AsyncIterator[int]:
    """A listener that takes what it gets and says nothing; its port. `accepted`: file numbers of connections."""

    transports: list[asyncio.Transport] = []

    class Kept(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            accepted.append(transport.get_extra_info("socket").fileno())
            transports.append(transport)

    listening = Listening.on(socket.create_server(("127.0.0.1", 0)), places)
    server = await asyncio.get_running_loop().create_server(Kept, sock=listening)
    yield listening.getsockname()[1]
    server.close()
    for transport in transports:
        transport.abort()
    await deadline.until(lambda: places.taken == 0)


async def test_who_never_asks_is_hung_up_on_earlier_than_who_asked_before() -> None:
    places, accepted = Places(10, idle_seconds=3600, first_seconds=0.0), list[int]()
    async with listened(places, accepted) as port:
        [asked] = await opened(port, 1)
        await deadline.until(lambda: len(accepted) == 1)
        places.request_came(accepted[0])
        with places.answering(accepted[0]):
            [silent] = await opened(port, 1)
            await deadline.until(lambda: len(accepted) == 2)
            places.sweep()
            during = await ended([asked]), await ended([silent])
        places.sweep()
        after = await ended([asked])
        closed([silent, asked])

    assert (during, after) == ((0, 1), 0)


async def test_without_files_it_says_so_once_and_serves_again_when_there_are_some(
    caplog: pytest.LogCaptureFixture,
) -> None:
    places, accepted = Places(100, idle_seconds=3600), list[int]()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asyncio.get_running_loop().set_exception_handler(quiet)
    async with listened(places, accepted) as port:
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(each.fileno() for each in clients) + 1, hard))
        try:
            await deadline.until(lambda: len(caplog.records) > 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await deadline.until(lambda: len(accepted) == 4)
        for each in clients:
            each.close()

    assert [record.getMessage() for record in caplog.records] == [
        "connections are waiting because no more files can be opened (Too many open files); raise ulimit -n"
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("192.0.2.1", 80), "192.0.2.1"),
        (("::ffff:192.0.2.1", 80, 0, 0), "192.0.2.1"),
        (("2001:db8::1", 80, 0, 0), "2001:db8::/64"),
        (("2001:db8::ffff:2", 80, 0, 0), "2001:db8::/64"),
        (("fe80::1%eth0", 80, 0, 2), "fe80::/64"),
        (("forged", 80), "forged"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_asker(address: object, expected: str) -> None:
    assert expected == origin(address)


async def test_each_address_has_its_turn_and_the_greedy_one_loses() -> None:
    turns, order = Turns(4), list[str]()
    begin = asyncio.Event()

    async def work(who: str, name: str, *, gone: bool = False) -> None:
        try:
            async with turns.turn(who, lambda: gone):
                await begin.wait()
                order.append(name)
        except Busy:
            order.append(f"{name} is refused")

    asked = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("a", "a4"), ("b", "b1"), ("b", "b2"), ("a", "a5")]
    tasks = [asyncio.create_task(work(who, name)) for who, name in asked]
    await asyncio.sleep(0)
    begin.set()
    await asyncio.gather(*tasks)

    assert [each for each in order if "refused" not in each] == ["a1", "a3", "b2", "a2", "b1"]
    assert [each for each in order if "refused" in each] == ["a5 is refused", "a4 is refused"]


async def test_who_has_hung_up_makes_room_first_and_who_gives_up_passes_the_turn_on() -> None:
    turns, order = Turns(2), list[str]()
    begin = asyncio.Event()

    async def work(name: str, *, gone: bool = False) -> None:
        try:
            async with turns.turn("a", lambda: gone):
                await begin.wait()
                order.append(name)
        except Busy:
            order.append(f"{name} is refused")

    tasks = [asyncio.create_task(each) for each in (work("1"), work("2"), work("3", gone=True), work("4"))]
    await asyncio.sleep(0)
    tasks[1].cancel()
    begin.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert order in (["3 is refused", "1", "4"], ["1", "3 is refused", "4"])


async def test_a_crowd_at_a_process_with_few_files_costs_a_few_lines_and_nobody_a_scrape(tmp_path: Path) -> None:
    bookings(tmp_path)
    async with running(config(tmp_path), files=64) as program:
        port = int(program.url.rpartition(":")[2])
        await program.until(lambda samples: any(name == "outcome_no_show_ratio" for name, _ in samples))
        crowd = await opened(port, 200, b"GET /metrics HTTP/1.1\r\nHo")
        answers = [await asked(port, peer="127.0.0.2") for _ in range(20)]
        closed(crowd)
        status = await program.stopped()

    assert answers == [b"HTTP/1.1 200 OK\r\n"] * 20
    assert status == 0
    assert [line for line in program.log if "at most 32 connections at once instead of 512" in line]
    assert [line for line in program.log if "all 32 connections are in use" in line]
    assert len(program.log) < 12
    assert "Traceback" not in "\n".join(program.log)
