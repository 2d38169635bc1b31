"""What the figures of many past times are compared with, as each of these times alone would have it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from exporter.baselines.frozen import Fixed
from exporter.baselines.lookback import HOUR, asks, full_hour, together, without_medians
from exporter.evaluation.figure import Evaluation, Past
from exporter.evaluation.plan import Plan
from exporter.evaluation.range import Instants, SourcesAt, evaluations
from exporter.store import Store
from exporter.store.status import SourceStatus


@contextmanager
def pasts(store: Store, plan: Plan, instants: Instants, sources_at: SourcesAt) -> Iterator[Iterator[Past]]:
    """Gives what the figures of each time are compared with, in the order of the times."""
    with ExitStack() as opened:
        yield _pasts(store, plan, instants, sources_at, opened)


def _pasts(store: Store, plan: Plan, instants: Instants, sources_at: SourcesAt, opened: ExitStack) -> Iterator[Past]:
    earlier = Earlier(store, plan, instants, sources_at, opened)
    connection, fixed = opened.enter_context(store.reading()), Fixed()
    known: tuple[datetime, Sequence[SourceStatus], Past] | None = None
    for at in instants:
        hour, sources = full_hour(at), sources_at(at)
        if known is None or known[:2] != (hour, sources):
            before = partial(earlier.evaluation, hour)
            known = hour, sources, together(connection, store, plan, hour, sources, fixed, (), before)
        yield known[2]


class Earlier:
    """Evaluations a day, a week and so on before each of many full hours.

    Each of these goes on beside the others, and has its own connection, because temporary views belong to one.
    """

    def __init__(self, store: Store, plan: Plan, instants: Instants, sources_at: SourcesAt, opened: ExitStack) -> None:
        first = full_hour(instants.first)
        step = instants.step if instants.step % HOUR == timedelta(0) else HOUR
        hours = Instants(first=first, step=step, count=(full_hour(instants.last) - first) // step + 1)
        fresh = [replace(source, stale=False) for source in sources_at(first)]
        names: dict[timedelta, set[str]] = defaultdict(set)
        for ask in asks(plan, first):
            names[first - ask.at] |= ask.kpis
        self._going = {
            ago: evaluations(
                opened.enter_context(store.reading()),
                without_medians(plan, of),
                replace(hours, first=first - ago),
                lambda _at: fresh,
            )
            for ago, of in names.items()
            if of
        }
        self._last: dict[timedelta, Evaluation] = {}

    def evaluation(self, hour: datetime, at: datetime, _names: frozenset[str]) -> Evaluation:
        """The evaluation of a time before an hour; hours come in order."""
        ago = hour - at
        if ago not in self._last or self._last[ago].at != at:
            self._last[ago] = next(each for each in self._going[ago] if each.at == at)
        return self._last[ago]
