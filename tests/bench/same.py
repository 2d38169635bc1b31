"""Whether two checkouts publish the same text from the demo's store, byte by byte.

    python -m tests.bench.same FOLDER

Run it with one folder in both checkouts: the first makes the store and writes its text, the second compares its own.
"""

import asyncio
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from exporter.config import read_config
from exporter.publish.exposition import text
from exporter.runtime import open_store
from tests.demo import END, found_in, polled

CONFIG, TEXT = "config.yaml", "published.txt"


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG if (folder / CONFIG).exists() else asyncio.run(polled(folder))
    config = read_config(path)
    with open_store(config) as store:
        now = text(found_in(config, store, END).published.snapshot, CollectorRegistry())
    before = folder / TEXT
    if not before.exists():
        before.write_bytes(now)
        sys.stdout.write(f"{len(now):,} bytes written; now run it in the other checkout\n")
        return 0
    same = before.read_bytes() == now
    sys.stdout.write(f"{len(now):,} bytes: {'the same' if same else 'not the same'}\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
