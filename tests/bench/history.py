"""The whole catalogue's history in a real Prometheus: how long it takes, how large it is, and whether it is right.

    python -m tests.bench.history [demo or how many records] [length] [step] [folder]      demo 90d 1h without

Everything that Prometheus has at three instants is compared with `once --at`; it must be equal.
"""

import asyncio
import resource
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.bench.records import AT, stored
from tests.blocks import blocks, differing, instants, prometheus
from tests.demo import END, polled


async def measured(config: Path, length: str, step: str, to: datetime) -> int:
    found = await blocks(config, config.parent, length=length, step=step, to=to)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    sys.stdout.write(
        f"{length} by {step}: {found.file_bytes / 1e6:,.0f} MB written in {found.backfill_seconds:,.0f} s, "
        f"blocks of {found.blocks_bytes / 1e6:,.0f} MB made in {found.blocks_seconds:,.0f} s; "
        f"no program took more than {peak:,} MB\n"
    )
    every = [*instants(length, step, to)]
    chosen = [every[-1], every[len(every) // 2], every[0]]
    async with prometheus(found.folder) as url:
        results = [await differing(url, config, at) for at in chosen]
    for at, (compared, different) in zip(chosen, results, strict=True):
        sys.stdout.write(f"{at.isoformat()}: {compared:,} figures compared, {len(different)} differ\n")
    return 1 if any(different for _, different in results) else 0


async def main(records: str = "demo", length: str = "90d", step: str = "1h", folder: str | None = None) -> int:
    if folder is None:
        with tempfile.TemporaryDirectory() as own:
            return await main(records, length, step, own)
    began = time.monotonic()
    if records == "demo":
        config, to = await polled(Path(folder)), END.replace(hour=0, minute=0)
    else:
        config, to = stored(Path(folder), int(records)), AT
    sys.stdout.write(f"store of {records} made in {time.monotonic() - began:.0f} s\n")
    return await measured(config, length, step, to)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
