"""`make picture`: the picture of the README, taken of the demo's overview with a real Chromium."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.test_demo import running

PICTURE = Path(__file__).parents[1] / "docs" / "overview.png"
SIZE = "1280,680"


async def take(picture: Path) -> None:
    """Runs the demo, without Prometheus, and takes the picture once there are values."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not on the PATH")
    with TemporaryDirectory() as folder:
        async with running(Path(folder) / "demo", path=folder) as demo:
            address = (await demo.until(r"Overview +(http://\S+)", within=120))[1]
            options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}", "--timeout=20000"]
            process = await asyncio.create_subprocess_exec(
                chromium, *options, f"--user-data-dir={folder}/chromium", f"--screenshot={picture}", address,
                env=os.environ,
            )  # fmt: skip
            await process.wait()
            await demo.end()


if __name__ == "__main__":
    asyncio.run(take(PICTURE))
