"""The whole catalogue's history from the demo's store, in a real Prometheus: how long it takes, how large it is.

    python -m tests.bench.history [length] [step] [folder]        90d 1h, and a folder of its own, without

Everything that Prometheus has at three instants is compared with `once --at`; it must be equal.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.blocks import blocks, differing, instants, prometheus
from tests.demo import END, polled

LAST = END.replace(hour=0, minute=0)


async def measured(length: str, step: str, folder: Path) -> int:
    began = time.monotonic()
    config = await polled(folder)
    sys.stdout.write(f"demo polled in {time.monotonic() - began:.0f} s\n")
    found = await blocks(config, folder, length=length, step=step, to=LAST)
    sys.stdout.write(
        f"{length} by {step}: {found.file_bytes / 1e6:,.0f} MB written in {found.backfill_seconds:,.0f} s, "
        f"blocks of {found.blocks_bytes / 1e6:,.0f} MB made in {found.blocks_seconds:,.0f} s\n"
    )
    every = [*instants(length, step, LAST)]
    chosen = [every[-1], every[len(every) // 2], every[0]]
    async with prometheus(found.folder) as url:
        results = [await differing(url, config, at) for at in chosen]
    for at, (compared, different) in zip(chosen, results, strict=True):
        sys.stdout.write(f"{at.isoformat()}: {compared:,} figures compared, {len(different)} differ\n")
    return 1 if any(different for _, different in results) else 0


async def main(length: str = "90d", step: str = "1h", folder: str | None = None) -> int:
    if folder:
        return await measured(length, step, Path(folder))
    with tempfile.TemporaryDirectory() as own:
        return await measured(length, step, Path(own))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
