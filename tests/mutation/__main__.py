"""Changes each connector's tables, times, words, conditions and units, one at a time, and runs what should notice.

First the truth of that connector; what passes it, its contract and its own tests, too. A survivor is either noticed by
a new item of truth, or stands in equivalent.py with its reason. Ends with 1 where there is another.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from exporter.connectors import CONNECTORS
from tests.connectors.truth import told, untrue
from tests.mutation.anew import PACKAGE, Changed, changed, modules
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import Kind, Mutant, mutants

SECONDS = {"truth": 60, "contract": 600}
"""A change after which a test has no end is noticed, too."""
OUT_OF_ORDER = 2


@dataclass(frozen=True)
class Job:
    """A change of a module, and what is to be run."""

    name: str  # the connector's
    module: str
    path: Path
    mutant: Mutant

    @property
    def folder(self) -> str:
        return CONNECTORS[self.name].__name__.rpartition(".")[2]

    @property
    def reason(self) -> str | None:
        """Why it is equivalent, where it is."""
        return EQUIVALENT.get(self.module.removeprefix(f"{PACKAGE}."), {}).get(self.mutant.name)

    @property
    def place(self) -> str:
        return f"{self.folder}/{self.path.name}:{self.mutant.line}: {self.mutant.text}\n    {self.mutant.what}"


def by_truth(job: Job) -> bool:
    """Whether the truth notices."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            connector = changed(job.folder, job.module, job.mutant.code)
        except Exception:  # noqa: BLE001 - a module that cannot be imported is noticed
            return True
        return asyncio.run(untrue(job.name, connector, Path(folder))) is not None


def by_tests(job: Job) -> bool:
    """Whether the contract or a test of the connector's own notices."""
    ours = ("exporter.", "tests.connectors", "tests.test_")
    for module in [module for module in sys.modules if module.startswith(ours)]:
        del sys.modules[module]
    sys.meta_path.insert(0, Changed(job.module, job.mutant.code))
    common = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not real"]
    contract = pytest.main([*common, "tests/test_connectors.py", "-k", job.name])
    if contract != 0 or ONLY_CONTRACT:
        return contract != 0
    return pytest.main([*common, f"tests/connectors/{job.folder}"]) != 0


ONLY_CONTRACT = False


def forked(job: Job, notices: Callable[[Job], bool]) -> int:
    """The process in which it is found out: it ends with 1 where the change is noticed."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        code = int(notices(job))
    except BaseException:  # noqa: BLE001 - whatever it was, it is not as it was
        code = 1
    os._exit(code)


def noticed(jobs: Sequence[Job], notices: Callable[[Job], bool], seconds: float, workers: int) -> Iterator[Job]:
    """The jobs whose change is noticed, or has no end."""
    waiting, running = [*reversed(jobs)], dict[int, tuple[Job, float]]()
    while waiting or running:
        while waiting and len(running) < workers:
            job = waiting.pop()
            running[forked(job, notices)] = job, time.monotonic() + seconds
        for pid, (job, until) in [*running.items()]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and time.monotonic() > until:
                os.killpg(pid, signal.SIGKILL)
                ended, status = os.waitpid(pid, 0)
            if ended:
                del running[pid]
                if status != 0:
                    yield job
        time.sleep(0.01)


def main() -> int:
    parser = ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("names", nargs="*", default=sorted(CONNECTORS), help="connectors; all where none is named")
    parser.add_argument("--kinds", nargs="*", default=get_args(Kind), help=f"of {', '.join(get_args(Kind))}")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth change")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--without", choices=["truth", "tests"], help="leave one of the two out")
    given = parser.parse_args()
    global ONLY_CONTRACT  # noqa: PLW0603
    ONLY_CONTRACT = given.without == "truth"
    rows, left, stale = [], list[Job](), list[str]()
    for name in given.names:
        folder = CONNECTORS[name].__name__.rpartition(".")[2]
        told(name)
        jobs = [
            Job(name, module, path, mutant)
            for module, path in modules(folder)
            for mutant in mutants(path.read_text(), str(path), given.kinds)
        ][:: given.every]
        truth = tests = set[int]()
        if given.without != "truth":
            truth = {id(job) for job in noticed(jobs, by_truth, SECONDS["truth"], given.workers)}
        others = [job for job in jobs if id(job) not in truth and not job.reason]
        if given.without != "tests":
            tests = {id(job) for job in noticed(others, by_tests, SECONDS["contract"], given.workers)}
        survived = [job for job in others if id(job) not in tests]
        same = [job for job in jobs if job.reason and id(job) not in truth]
        stale += [job.place for job in jobs if job.reason and id(job) in truth]
        kinds = Counter(job.mutant.kind for job in jobs)
        rows.append((name, len(jobs), len(truth), len(tests), len(same), len(survived), kinds))
        left += survived
        print(HEAD if len(rows) == 1 else "", end="")
        print("| {} | {} | {} | {} | {} | {} |".format(*rows[-1]), ", ".join(f"{k} {n}" for k, n in kinds.items()))
        for job in survived:
            print("  survived:", job.place, flush=True)
    for place in stale:
        print(f"not equivalent, the truth notices: {place}")
    return 1 if left or stale else 0


HEAD = "| connector | changes | noticed by truth | by other tests | equivalent | survived |\n" + 6 * "|---" + "|\n"

if __name__ == "__main__":
    sys.exit(main())
