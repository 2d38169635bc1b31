"""How many events a second one core takes in: the whole program, each event a request that waits for its 202.

    python -m tests.bench.events [events] [senders]

Then spans, 512 in a request: agents, a tool in between, half of them inside of others. Then it is killed, and what was
answered must be stored. `of one core`: events by the processor time that the program used, for a machine that others
use too.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from exporter.store import Store
from tests.connectors.events.truth import STRUCTURED
from tests.connectors.otlp.truth import PROTOBUF, agent, in_protobuf, span
from tests.program import Program, running

HEADERS = {"Authorization": "Bearer sesame", "Content-Type": STRUCTURED}
TICK = os.sysconf("SC_CLK_TCK")


def event(number: int) -> dict[str, object]:
    """Runs that begin, and end ten events later."""
    begins = number % 20 < 10
    id_ = number if begins else number - 10
    seconds = f"2026-03-30T12:{number // 60 % 60:02}:{number % 60:02}Z"
    data = {"id": f"run {id_}", "workflow": f"flow {id_ % 40}", "custom": {"team": f"team {id_ % 12}"}}
    data |= {"status": "running", "started_at": seconds} if begins else {"status": "failed", "finished_at": seconds}
    return {
        "specversion": "1.0",
        "id": f"{number}",
        "source": "/bench",
        "type": "outcome.run",
        "time": seconds,
        "data": data,
    }


def used(process: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def send(http: ClientSession, url: str, numbers: range) -> None:
    for number in numbers:
        async with http.post(f"{url}/events/bench", json=event(number), headers=HEADERS) as response:
            assert response.status == 202, response.status
            await response.read()


def spans(batch: int) -> bytes:
    """A request of 512 spans: traces of an agent, a tool and an agent."""
    made: list[object] = []
    for number in range(batch * 171, batch * 171 + 171):
        trace = f"{number + 1:032x}"
        tool: dict[str, Any] = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__call__arguments": "x" * 500}
        made += [agent(1, number % 60, trace=trace), span(2, trace=trace, parent=1, **tool)]
        made.append(agent(3, trace=trace, parent=2 if number % 2 else 0))
    return in_protobuf(made[:512]).body


async def send_spans(http: ClientSession, url: str, bodies: list[bytes]) -> None:
    while bodies:
        headers = {**HEADERS, "Content-Type": PROTOBUF}
        async with http.post(f"{url}/otlp/spans/v1/traces", data=bodies.pop(), headers=headers) as response:
            assert response.status == 200, response.status
            await response.read()


async def spans_measured(http: ClientSession, program: Program, count: int) -> None:
    bodies = [spans(batch) for batch in range(count // 512)]
    sent = len(bodies) * 512
    began, before = time.perf_counter(), used(program.process.pid)
    await asyncio.gather(*(send_spans(http, program.url, bodies) for _ in range(4)))
    took, processor = time.perf_counter() - began, used(program.process.pid) - before
    sys.stdout.write(f"spans: {sent / took:,.0f} a second, {sent / processor:,.0f} a second of one core\n")


async def measured(folder: Path, count: int, senders: int) -> None:
    (folder / "secret").write_text("sesame")
    (folder / "secret").chmod(0o600)
    config = folder / "outcome.yaml"
    segments = "segments: {team: {field: custom.team, default: shared}}"
    config.write_text(
        f"store: {{path: store.duckdb}}\nsources:\n  - {{name: bench, type: events, secret_file: secret, {segments}}}\n"
        "  - {name: spans, type: otlp, secret_file: secret}\n"
    )
    async with running(config) as program, ClientSession(connector=TCPConnector(limit=senders)) as http:
        os.sched_setaffinity(program.process.pid, {min(os.sched_getaffinity(0))})
        await send(http, program.url, range(count, count + 100))  # once warm
        began, before = time.perf_counter(), used(program.process.pid)
        await asyncio.gather(*(send(http, program.url, range(first, count, senders)) for first in range(senders)))
        took, processor = time.perf_counter() - began, used(program.process.pid) - before
        await spans_measured(http, program, 2 * count)
        program.process.send_signal(signal.SIGKILL)
        await program.process.wait()
    with Store.open(folder / "store.duckdb") as store, store.reading() as reader:
        ((stored, commits),) = reader.execute("select count(*), count(distinct came_at) from delivery").fetchall()
    assert stored == count + 100, f"{count + 100 - stored} events were answered and are lost"
    sys.stdout.write(
        f"{senders} senders: {count / took:,.0f} events/s, {count / processor:,.0f} events/s of one core\n"
    )
    sys.stdout.write(f"{(count + 100) / commits:.1f} events in a transaction; none of {stored:,} lost when killed\n")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for senders in [int(sys.argv[2])] if len(sys.argv) > 2 else [16, 64]:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measured(Path(folder), count, senders))


if __name__ == "__main__":
    main()
