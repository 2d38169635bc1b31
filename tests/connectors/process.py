"""Real programs for tests: started in a process group of their own, waited for, ended with all their children."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests import deadline

CACHE = Path(os.environ.get("OUTCOME_TEST_CACHE") or Path(__file__).parents[2] / ".cache")
"""Where real servers are installed, once; ours are a few hundred megabytes."""


UV = "0.13.9"
"""What installs them, in seconds: pip takes a minute for the larger ones."""


@asynccontextmanager
async def running(command: Iterable[str | Path], log: Path, environment: Mapping[str, str]) -> AsyncIterator[int]:
    """A program; its process id. Whatever it started ends with it."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=output,
            stderr=output,
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent), **environment},
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> None:
    """Asks the group to end, and insists after ten seconds."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def finished(command: Iterable[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Runs a program to its end; what it says is shown when it fails."""
    words = [str(word) for word in command]
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{words[0]} failed: {output.decode(errors='replace')[-2000:]}")


async def installed(name: str, *what: str | Path) -> Path:
    """The folder of the programs of an environment of its own, made at the first time. `what`: for `uv pip install`."""
    venv, wanted = CACHE / name, " ".join(str(each) for each in (UV, *what))
    wanted += "".join(each.read_text() for each in what if isinstance(each, Path))
    python, done = venv / "bin" / "python", venv / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        venv.mkdir(parents=True, exist_ok=True)
        await finished([sys.executable, "-m", "venv", "--clear", venv], venv)
        await finished([python, "-m", "pip", "install", "--quiet", f"uv=={UV}"], venv)
        await finished([venv / "bin" / "uv", "pip", "install", "--quiet", "--python", python, *what], venv)
        done.write_text(wanted)
    return venv / "bin"


async def until(question: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Asks four times a second until the answer is yes."""
    end = asyncio.get_running_loop().time() + deadline.seconds(seconds)
    while not await question():
        if asyncio.get_running_loop().time() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.25)
