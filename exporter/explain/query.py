"""Parses and checks a query for an explanation, such as ?kpi=no_show_ratio&window=7d&team=it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches

from exporter.base.defaults import SIZE
from exporter.catalogue.kpi import BASES
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.plan import Plan, Setting
from exporter.records import instant
from exporter.records.labels import LABEL_NAMES

LARGEST_SIZE = 10_000
OLDEST_YEAR = 1970
GROUPS = ("numerator", "denominator", "no")
COLUMNS = {published: column for column, published in LABEL_NAMES.items()}


class Unexplained(ValueError):  # noqa: N818 - an answer, not a fault of ours
    """A question that has no answer; the text says why.

    `choices`: (text, parameters) of questions that have one.
    """

    def __init__(self, reason: str, choices: Sequence[tuple[str, Mapping[str, str]]] = ()) -> None:
        super().__init__(reason)
        self.choices = choices


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is to be explained. `segment`: by the names of columns."""

    kpi: str
    window: str
    segment: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None
    counted: str | None = None  # only this one of GROUPS
    page: int = 1
    size: int = SIZE


def question(query: Mapping[str, str], plan: Plan, *, most: int = SIZE) -> Question:
    """The question in a query; every key that is not an option is a label. Raises Unexplained."""
    labels = dict(query)
    name, window = labels.pop("kpi", ""), labels.pop("window", "")
    setting = setting_of(plan, name)
    name = setting.kpi.name
    windows = [window for window, _ in plan.windows]
    if not window:
        window = setting.kpi.window if setting.kpi.window in windows else windows[0]
    if window not in windows:
        raise Unexplained(f"window {window!r} is not configured; choose one of {', '.join(windows)}")
    counted = labels.pop("counted", None) or None
    if counted not in (None, *GROUPS):
        raise Unexplained(f"counted {counted!r}: choose one of {', '.join(GROUPS)}")
    try:
        at = instant(labels.pop("at", None))
        if at is not None and at.year < OLDEST_YEAR:
            raise ValueError("many systems' word for never")
    except (ValueError, OverflowError):
        raise Unexplained("at: write a time like 2026-03-31T12:00:00Z") from None
    page, size = _whole(labels, "page", 1, 1_000_000), _whole(labels, "size", min(SIZE, most), most)
    segment = {COLUMNS.get(label, label): value for label, value in labels.items()}
    if setting.kpi.business:
        _basis(segment.setdefault("basis", setting.basis))
    return Question(kpi=name, window=window, segment=segment, at=at, counted=counted, page=page, size=size)


def _basis(text: str) -> None:
    if text not in BASES:
        raise Unexplained(f"basis {text!r}: choose one of {', '.join(BASES)}")


def _whole(labels: dict[str, str], name: str, default: int, most: int) -> int:
    text = labels.pop(name, str(default))
    # No number of thousands of digits is made into one.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise Unexplained(f"{name} {text!r} is not a number from 1 to {most}")
    return int(text)


def no_label(asked: Question, unknown: Collection[str], known: Iterable[str]) -> Unexplained:
    """What to say of labels that a KPI does not have: a dashboard may ask for one of another KPI that it shows."""
    missing, there = (", ".join(LABEL_NAMES.get(label, label) for label in each) for each in (sorted(unknown), known))
    rest = {LABEL_NAMES.get(label, label): value for label, value in asked.segment.items() if label not in unknown}
    choice = (f"{asked.kpi} whatever the {missing}", {"kpi": asked.kpi, "window": asked.window, **rest})
    return Unexplained(f"{asked.kpi} has no label {missing}; its labels are: {there or 'none'}", [choice])


def setting_of(plan: Plan, name: str) -> Setting:
    """A configured KPI by its name or that of its main series. Raises Unexplained."""
    if setting := compile_plan(plan).settings.get(name.removeprefix("outcome_")):
        return setting
    known = "/kpis and the command kpis list all KPIs"
    if any(setting.kpi.name == name.removeprefix("outcome_") for setting in plan.not_computed):
        raise Unexplained(f"kpi {name!r} is not computed: the config switches it off, or does not name it in kpis.only")
    close = get_close_matches(name[:100], plan.kpis, cutoff=0.5)
    choices = [(plan.kpis[each].title, {"kpi": each}) for each in close]
    raise Unexplained(f"kpi {name!r} is not configured; {known}" if name else f"give a kpi; {known}", choices)
