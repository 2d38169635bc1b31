"""What several tests share because it takes long to make, and which tests are quick."""

import asyncio
import fcntl
import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests import demo, marks, nearby

# A script that starts the tests in the background has them ignore Ctrl-C, and the programs they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What Hypothesis draws is the same in every run of CI: a change is not blamed for what it did not do. On a desk it
# goes on looking; the fuzzer draws one seed everywhere, and prints it.
settings.register_profile("here", deadline=None)  # how long an example takes is the machine's affair
settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def demo_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of the demo, its store beside it: made once, and a copy for each worker."""
    own = tmp_path_factory.mktemp("demo")
    of_all = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else own
    made = of_all / "polled"
    with (of_all / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            half = of_all / "half"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            asyncio.run(demo.polled(half))
            half.rename(made)
    copy = own / "copy"
    shutil.copytree(made, copy)
    return copy / "config.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nearby", action="store_true", help="leave the tests of connectors out that have not changed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks.mark(items)
    if config.getoption("nearby"):
        nearby.select(config, items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the fuzzer tried is worth reading also where it found nothing; the drawn seed repeats a run."""
    for report in terminalreporter.stats.get("passed", []):
        if "/fuzz/" in report.nodeid:
            terminalreporter.write(report.capstdout)
