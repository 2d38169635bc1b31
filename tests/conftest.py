"""What several tests share because it takes long to make."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests import demo

# A script that starts the tests in the background has them ignore Ctrl-C, and the programs they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def demo_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of the demo, its store beside it. Who changes anything works on a copy of the folder."""
    return asyncio.run(demo.polled(tmp_path_factory.mktemp("demo")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the fuzzer tried is worth reading also where it found nothing; the drawn seed repeats a run."""
    for report in terminalreporter.stats.get("passed", []):
        if "/fuzz/" in report.nodeid:
            terminalreporter.write(report.capstdout)
