"""Changes each connector's tables, times, words, conditions and units, one at a time, and runs what should notice.

First the truth of that connector; what passes it, its contract and its own tests, too. A survivor is either noticed by
a new item of truth, or stands in equivalent.py with its reason. Ends with 1 where there is another. The code as it is
goes first: where that is taken for a change, nothing can be said.
"""

import asyncio
import os
import resource
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pytest

from exporter.connectors import CONNECTORS
from tests.connectors.truth import folder_of, told, untrue
from tests.mutation.anew import PACKAGE, Changed, changed, modules
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import Kind, Mutant, mutants

SECONDS = {"truth": 30, "tests": 300}
"""Of CPU. A change after which a test has no end is noticed, too; where it only waits, after ten times as long."""


@dataclass(frozen=True)
class Job:
    """A change of a module, and what is to be run."""

    name: str  # the connector's
    module: str
    path: Path
    mutant: Mutant

    @property
    def folder(self) -> str:
        return folder_of(self.name)

    @property
    def reason(self) -> str | None:
        """Why it is equivalent, where it is."""
        return EQUIVALENT.get(self.module.removeprefix(f"{PACKAGE}."), {}).get(self.mutant.name)

    @property
    def place(self) -> str:
        return f"{self.folder}/{self.path.name}:{self.mutant.line}: {self.mutant.text}\n    {self.mutant.what}"


Notices = Callable[[Job], bool]


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
    if pytest.main([*common, f"tests/connectors/{job.folder}"]) != 0:
        return True
    return pytest.main([*common, "tests/test_connectors.py", "-k", job.name]) != 0


def forked(job: Job, notices: Notices, seconds: int) -> int:
    """The process in which it is found out: it ends with 1 where the change is noticed."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        code = int(notices(job))
    except BaseException:  # noqa: BLE001 - whatever it was, it is not as it was
        code = 1
    os._exit(code)


def noticed(jobs: Sequence[Job], notices: Notices, seconds: int, workers: int) -> Iterator[Job]:
    """The jobs whose change is noticed, or has no end."""
    waiting, running = [*reversed(jobs)], dict[int, tuple[Job, float]]()
    while waiting or running:
        while waiting and len(running) < workers:
            job = waiting.pop()
            running[forked(job, notices, seconds)] = job, time.monotonic() + 10 * seconds
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


def found_out(jobs: Sequence[Job], notices: Notices, seconds: int, workers: int) -> list[Job]:
    """The same, after a look whether they take the code as it is for a change."""
    if not jobs:
        return []
    first = jobs[0]
    source = first.path.read_text()
    same = replace(first, mutant=replace(first.mutant, code=compile(source, str(first.path), "exec")))
    if [*noticed([same], notices, seconds, 1)]:
        sys.exit(f"{first.name}: what is to notice changes fails already without one")
    return [*noticed(jobs, notices, seconds, workers)]


@dataclass(frozen=True)
class Result:
    """What was found out about one connector."""

    name: str
    jobs: Sequence[Job]
    truth: Sequence[Job]  # which it noticed
    tests: Sequence[Job]  # which they noticed, of the others
    seconds: float  # of CPU

    @property
    def equivalent(self) -> list[Job]:
        return [job for job in self.jobs if job.reason and job not in self.truth]

    @property
    def survived(self) -> list[Job]:
        return [job for job in self.jobs if not job.reason and job not in self.truth and job not in self.tests]

    @property
    def wrong(self) -> list[Job]:
        """Said to be equivalent, and noticed."""
        return [job for job in self.truth if job.reason]

    @property
    def row(self) -> str:
        counts = [len(each) for each in (self.jobs, self.truth, self.tests, self.equivalent, self.survived)]
        kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(job.mutant.kind for job in self.jobs).items())
        return "| " + " | ".join(map(str, [self.name, *counts, f"{self.seconds:.0f} s", kinds])) + " |"


def result(name: str, given: Namespace) -> Result:
    folder, began = folder_of(name), cpu()
    told(name)  # imported here, it need not be after each fork
    jobs = [
        Job(name, module, path, mutant)
        for module, path in modules(folder)
        for mutant in mutants(path.read_text(), str(path), given.kinds)
    ][:: given.every]
    truth = [] if given.without == "truth" else found_out(jobs, by_truth, SECONDS["truth"], given.workers)
    others = [job for job in jobs if job not in truth and not job.reason]
    tests = [] if given.without == "tests" else found_out(others, by_tests, SECONDS["tests"], given.workers)
    return Result(name, jobs, truth, tests, cpu() - began)


def cpu() -> float:
    """Seconds of CPU of this process and of all that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> int:
    parser = ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("names", nargs="*", help="connectors; all where none is named")
    parser.add_argument("--kinds", nargs="*", default=get_args(Kind), help=f"of {', '.join(get_args(Kind))}")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth change")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--without", choices=["truth", "tests"], help="leave one of the two out")
    given = parser.parse_args()
    if unknown := set(given.names) - set(CONNECTORS):
        parser.error(f"there is no connector {', '.join(sorted(unknown))}; there are {', '.join(sorted(CONNECTORS))}")
    say = sys.stdout.write
    say(HEAD)
    bad = 0
    for name in given.names or sorted(CONNECTORS):
        found = result(name, given)
        say(f"{found.row}\n")
        for word, jobs in {"survived": found.survived, "not equivalent, but noticed": found.wrong}.items():
            bad += len(jobs)
            for job in jobs:
                say(f"  {word}: {job.place}\n")
        sys.stdout.flush()
    return 1 if bad else 0


HEAD = "| connector | changes | noticed by truth | by other tests | equivalent | survived | CPU | kinds |\n"
HEAD += "|---" * 8 + "|\n"

if __name__ == "__main__":
    sys.exit(main())
