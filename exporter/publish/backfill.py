"""History as an OpenMetrics file for Prometheus: a part per chunk of instants, so that an interrupted run goes on.

A line of a part is [family, labels, text]: everything of one series, in the order of time. Parts are sorted, so they
are merged into the file without being read whole: OpenMetrics wants families, and series within them, in one piece.
The file has what a scrape of that time would have had, with the labels that Prometheus adds to a scrape. Left out: the
metrics about the exporter itself. Thresholds, targets and what is said of KPIs are as configured now.
"""

import fcntl
import hashlib
import heapq
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import msgspec

from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Past
from exporter.evaluation.plan import Plan
from exporter.evaluation.range import Instants, SourcesAt, evaluations
from exporter.evaluation.stats import Distribution, Family
from exporter.publish.cardinality import Limits
from exporter.publish.content_negotiation import OPENMETRICS
from exporter.publish.families import series
from exporter.publish.lines import IN_LABEL, bound_text, head
from exporter.records import bounded

CHUNK = 48
"""Instants at once: two days of hours. A running exporter holds what it writes of them in memory."""
LONGEST_STEP = 366 * 86400  # seconds
Line = tuple[str, str, str]
"""(family, labels, text)"""
ROUTE = "/api/v1/history"
"""Where a running exporter gives a chunk, on the socket beside its store."""
HEAD = ""
"""In the place of labels: sorts before every series."""
Labels = Mapping[str, str]
"""What Prometheus adds to a scrape, such as job and instance."""


class BeingWrittenError(Exception):
    """Another backfill is writing the same file."""


class BadRequestError(Exception):
    """What is asked for cannot be; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be written, and where."""

    instants: Instants
    output: Path
    labels: Labels

    @property
    def folder(self) -> Path:
        """Where its parts are until they are put together."""
        return self.output.with_name(f".{self.output.name}.parts")


def instants(length: timedelta, step: timedelta, to: datetime) -> Instants:
    """Those at whole steps since 1970, up to `to` and less than `length` before it."""
    epoch = datetime.fromtimestamp(0, UTC)
    last = epoch + (to - epoch) // step * step
    return Instants(first=last - (length // step - 1) * step, step=step, count=max(1, length // step))


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """While nobody else writes the file: two would share their parts. Raises BeingWrittenError."""
    path = output.with_name(f".{output.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BeingWrittenError(
                f"{output}: another backfill is writing this file; wait until it has ended, or give another --output"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def begun(job: Job, same: str, *, open_end: bool) -> Job:
    """The job, as far as it was begun with the same settings (`same`) by an earlier run; else nothing of it is kept.

    `open_end`: it goes to the present, so one begun a while ago is brought to the end it had then.
    """
    state_file = job.folder / "job.json"
    wanted = {"step": job.instants.step.total_seconds(), "count": job.instants.count, "same": same}
    wanted |= {"labels": dict(job.labels)}
    wanted |= {} if open_end else {"first": job.instants.first.isoformat()}
    try:
        had = json.loads(state_file.read_text())
    except (OSError, ValueError):
        had = {}
    if wanted.items() <= had.items():
        return replace(job, instants=replace(job.instants, first=datetime.fromisoformat(had["first"])))
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir()
    state_file.write_text(json.dumps(wanted | {"first": job.instants.first.isoformat()}))
    return job


def same_settings(plan: Plan, limits: Limits) -> str:
    """A hash of everything that can change a value: parts written with other settings do not belong together."""
    return hashlib.sha256(repr((plan, limits)).encode()).hexdigest()


def query(chunk: Instants, labels: Labels) -> dict[str, str]:
    """A chunk as it is asked for at ROUTE."""
    step = str(int(chunk.step.total_seconds()))
    return {
        "first": chunk.first.isoformat(), "step": step, "count": str(chunk.count), "labels": json.dumps(dict(labels))
    }  # fmt: skip


def chunk_of(params: Mapping[str, str]) -> tuple[Instants, Labels]:
    """The chunk in a query, and the labels that its series get. Raises BadRequestError."""
    try:
        first, step, count = datetime.fromisoformat(params["first"]), int(params["step"]), int(params["count"])
        labels = msgspec.json.decode(params["labels"], type=dict[str, str])
        if first.tzinfo is None or not 1 <= step <= LONGEST_STEP or not 1 <= count <= CHUNK:
            text = f"first needs an offset from UTC, step is 1 to {LONGEST_STEP} s, and count is 1 to {CHUNK}"
            raise BadRequestError(text)
        bounded(first, params["first"])
    except KeyError as error:
        raise BadRequestError(f"{error} is missing") from None
    except ValueError as error:
        raise BadRequestError(str(error)) from None
    return Instants(first=first, step=timedelta(seconds=step), count=count), labels


def fill(job: Job, lines_of: Callable[[Instants], Iterable[Sequence[str]]], show: Callable[[int, int], None]) -> None:
    """Makes the parts that are missing, then the file. `lines_of` gives one; `show` gets (instants done, of all)."""
    chunks = [*job.instants.chunks(CHUNK)]
    parts = [job.folder / f"{i:06}" for i in range(len(chunks))]
    done = 0
    for chunk, path in zip(chunks, parts, strict=True):
        if not path.exists():
            write(lines_of(chunk), path)
        done += chunk.count
        show(done, job.instants.count)
    joined(parts, job.output)
    shutil.rmtree(job.folder)


def part(
    connection: Connection,
    plan: Plan,
    limits: Limits,
    chunk: Instants,
    labels: Labels,
    sources_at: SourcesAt,
    pasts: Iterable[Past],
) -> list[Line]:
    """A chunk of instants as the lines of a part. `pasts`: what each is compared with. Raises BadRequestError."""
    texts: dict[tuple[str, str], list[str]] = {}
    heads: dict[str, str] = {}
    for evaluation, past in zip(evaluations(connection, plan, chunk, sources_at), pasts, strict=True):
        for family in series(replace(evaluation, baselines=past), plan, limits).snapshot.families:
            heads.setdefault(family.name, head(family, OPENMETRICS))
            for key, text in samples(family, evaluation.at, labels):
                texts.setdefault((family.name, key), []).append(text)
    lines = [(name, HEAD, text) for name, text in heads.items()]
    return sorted([*lines, *((*key, "".join(text)) for key, text in texts.items())])


def write(lines: Iterable[Sequence[str]], path: Path) -> None:
    """Lines as a file that is there once it is whole."""
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    temporary.replace(path)


def samples(family: Family, at: datetime, added: Labels) -> Iterator[tuple[str, str]]:
    """(labels, lines) of each series, or of each distribution with all its buckets. Raises BadRequestError."""
    if taken := added.keys() & {*family.labels}:
        raise BadRequestError(f"--label {taken.pop()}: {family.name} has a label of this name; give another one")
    seconds = at.timestamp()
    when = int(seconds) if seconds.is_integer() else seconds
    for values, value in family.samples:
        named = (*added.items(), *zip(family.labels, values, strict=True))
        pairs = [f'{name}="{text.translate(IN_LABEL)}"' for name, text in named]
        labels = "{" + ",".join(pairs) + "}"
        if isinstance(value, Distribution):
            bounds = ((",".join([*pairs, f'le="{bound_text(bound)}"']), count) for bound, count in value.buckets)
            text = "".join(f"{family.name}_bucket{{{bucket}}} {float(count)} {when}\n" for bucket, count in bounds)
        else:
            text = f"{family.name}{labels} {value} {when}\n"
        yield labels, text


def joined(parts: Sequence[Path], output: Path) -> None:
    """The parts as one file, which replaces the old one in one go."""
    whole = output.with_name(f".{output.name}.new")
    try:
        with ExitStack() as files, whole.open("w") as file:
            file.writelines(merged(lines_of_part(files.enter_context(part.open())) for part in parts))
            file.write("# EOF\n")
        whole.chmod(0o644)
        whole.replace(output)
    finally:
        whole.unlink(missing_ok=True)


def lines_of_part(lines: Iterable[str]) -> Iterator[Line]:
    """The lines of a part."""
    for line in lines:
        name, labels, text = json.loads(line)
        yield name, labels, text


def merged(parts: Iterable[Iterator[Line]]) -> Iterator[str]:
    """Every family once: its head, then series after series, each in the order of time."""
    lines = heapq.merge(*parts, key=lambda line: line[:2])
    for (_, labels), same in groupby(lines, key=lambda line: line[:2]):
        texts = (text for *_, text in same)
        yield from [next(texts)] if labels == HEAD else texts
