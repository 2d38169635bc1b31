"""The lint of a KPI: checks it against the columns of its facts, the other KPIs, and the rules for names.

Shipped KPIs and those of a config obey the same rules.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from exporter.base import duration
from exporter.base.strict_yaml import did_you_mean
from exporter.catalogue import facts as headers
from exporter.catalogue import lint_derived
from exporter.catalogue.expression import amount, predicate
from exporter.catalogue.expression_types import ColumnKind, Expression, ExpressionError
from exporter.catalogue.kpi import Kpi, key_of, value_labels
from exporter.catalogue.lint_derived import Fault
from exporter.records import RECORDS, person_columns
from exporter.records.columns import COLUMNS
from exporter.records.labels import LABELS

Columns = Mapping[str, Mapping[str, ColumnKind]]
"""Facts -> column -> kind."""

CONDITIONS = ("numerator", "denominator", "where")
AMOUNTS = ("value", "weight")
SHAPE: Mapping[str, frozenset[str]] = {
    "ratio": frozenset({"numerator", "denominator", "weight", "numerator_labels", "placed_by", "numerator_placed_by"}),
    "mean": frozenset({"value", "weight", "where", "placed_by"}),
    "duration": frozenset({"value", "where", "placed_by", "business", "on_hold"}),
    "count": frozenset({"where", "per", "placed_by"}),
    "sum": frozenset({"value", "where", "aggregate", "placed_by"}),
    "state": frozenset({"value", "where", "aggregate"}),
    "derived": frozenset({"numerator", "minus", "denominator", "per", "drop", "only_matched_segments"}),
}
"""Kind of KPI -> the keys that shape it; the others of these would be passed over in silence."""
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 60
RESERVED = re.compile(
    r"_(total|sum|count|bucket|gsum|gcount|created|info|numerator|denominator|lower|upper|median|overall|gross|overhead|distribution|threshold|target|baseline)$"
)
OTHER_UNIT = re.compile(r"_(minutes|hours|days|weeks|months|milliseconds|ms|percent|percentage|pct)$")
OURS = re.compile(r"(kpi|source|exporter|evaluation|store|config|otlp|series|coverage|unattributed)(_|$)")
"""Beginnings of what the exporter says about itself and about all KPIs."""
NO_UNIT = re.compile(r"%|percent(age)?|pct|ms|milliseconds|minutes|hours|days|weeks|months")
"""Units that are no base units."""
QUOTED = re.compile(r"'(?:[^']|'')*'")
TEXT = re.compile(r"[^{}\"\\\x00-\x1f]+")


def lint(kpi: Kpi, kpis: Mapping[str, Kpi], shipped: Mapping[str, Kpi], columns: Columns) -> Iterator[Fault]:
    """Everything that is wrong with one KPI among `kpis`; on its facts it may do what the `shipped` ones on them do."""
    return _Lint(kpi, kpis, shipped, columns).faults()


@dataclass(frozen=True)
class _Lint:
    """The lint of one KPI."""

    kpi: Kpi
    kpis: Mapping[str, Kpi]
    shipped: Mapping[str, Kpi]
    columns: Columns

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong with it."""
        kpi = self.kpi
        if kpi.facts not in self.columns:
            yield ("facts",), f"there are no rows called {kpi.facts!r}; {did_you_mean(kpi.facts, self.columns)}"
            return
        yield from self._words()
        named = list(self._name())
        yield from named
        yield from self._shape()
        yield from self._labels()
        yield from self._others()
        if not named:  # or its unit could not be told
            yield from self._unit()
        yield from self._clashes()

    @property
    def facts(self) -> headers.Facts:
        """The rows it counts."""
        return headers.facts(self.kpi.facts)

    @property
    def siblings(self) -> list[Kpi]:
        """The shipped KPIs on the same facts."""
        return [each for each in self.shipped.values() if each.facts == self.kpi.facts and each.kind != "derived"]

    def _words(self) -> Iterator[Fault]:
        for key, longest in (("title", 60), ("help", 1000), ("unit", 40)):
            text = getattr(self.kpi, key)
            if (text or key != "unit") and not (len(text) <= longest and TEXT.fullmatch(text)):
                yield (key,), f'write one line of at most {longest} characters, without {{ }} " and \\'
        if not any(sign.isalpha() for sign in self.kpi.title):
            yield ("title",), "this has no letters, but alerts are named after it; use some"
        for key, text in (("for", self.kpi.for_), ("window", self.kpi.window)):
            try:
                duration.seconds(text)
            except ValueError as error:
                yield (key,), str(error)

    def _name(self) -> Iterator[Fault]:
        name, kind = self.kpi.name, self.kpi.kind
        if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            fault = f"write lower-case letters, digits and single _, {LONGEST_NAME} at most, as in vip_escalation_ratio"
        elif name.startswith("outcome_"):
            fault = "leave out outcome_; it is added to every series"
        elif OURS.match(name):
            fault = (
                f"{name.partition('_')[0]}... is reserved for metrics about the exporter itself; choose another name"
            )
        elif ending := RESERVED.search(name):
            fault = f"the ending {ending[0]} is reserved for series derived from a KPI; choose another name"
        elif ending := OTHER_UNIT.search(name):
            fault = f"the ending {ending[0]} is not a base unit; publish _seconds for time, _ratio (0 to 1) for a share"
        elif kind == "ratio" and not name.endswith("_ratio"):
            fault = "the name of a ratio ends in _ratio"
        elif kind == "duration" and not name.endswith("_seconds"):
            fault = "the name of a duration ends in _seconds"
        elif name.endswith("_ratio") and kind not in ("ratio", "mean") and not self.kpi.denominator:
            fault = f"a {kind} has no denominator, so its name cannot end in _ratio"
        else:
            return
        yield (), fault

    def _shape(self) -> Iterator[Fault]:
        kpi = self.kpi
        every, known = frozenset().union(*SHAPE.values()), ", ".join(sorted(map(key_of, SHAPE[kpi.kind])))
        for key in sorted((every - SHAPE[kpi.kind]) & kpi.model_fields_set):
            if getattr(kpi, key) != type(kpi).model_fields[key].default:
                yield (key_of(key),), f"a KPI of kind {kpi.kind} does not take {key_of(key)}; its keys: {known}"
        yield from self._placed()
        yield from self._business()
        if kpi.per and (kpi.per == "day") != (kpi.kind == "count"):
            yield ("per",), "per: day is for a count, per: 100 or second for a derived KPI with a denominator"
        if kpi.kind == "state" and not kpi.value and kpi.aggregate == "max":
            yield ("aggregate",), "aggregate: max needs a value; give one, or leave the key out"
        yield from self._written()
        for name, param in kpi.params.items():
            if param.default is None and kpi.name not in self.shipped:
                yield ("params", name), "give it a default, such as default: 72h"
            if name in shared() and kpi.name not in self.shipped:
                owner = next((each.name for each in self.shipped.values() if name in each.params), "a shipped KPI")
                yield ("params", name), f"{name} belongs to {owner}; set it there"
            elif param.type == "duration" and not isinstance(param.default, str | None):
                yield ("params", name, "default"), "write a length of time like 72h"
        for key, read in expressions(kpi, self.columns[kpi.facts]):
            if isinstance(read, ExpressionError):
                yield (key,), str(read)
                continue
            yield from (((key,), fault) for fault in self._words_of(read))
            needs = {column: param.name for param in self.facts.params for column in param.columns}
            for column in sorted(read.columns & needs.keys()):
                needed = needs[column]
                if needed not in kpi.params:
                    yield (key,), f"{column} is computed with the parameter {needed}, {_advice(needed)}"

    def _written(self) -> Iterator[Fault]:
        """What expressions() passes over, or takes for something else."""
        for key in (*CONDITIONS, *AMOUNTS):
            text = getattr(self.kpi, key)
            if key in SHAPE[self.kpi.kind] and text is not None and not text.strip():
                yield (key,), "this is empty; write a condition or an amount, or leave the key out"
            inside = " ".join(QUOTED.findall(text or ""))
            for name in (name for name in self.kpi.params if f"{{{name}}}" in inside):
                yield (key,), f"{{{name}}} is in quotes, so it is read as plain text; remove the quotes"

    def _words_of(self, read: Expression) -> Iterator[str]:
        """Words that a column never has."""
        record = RECORDS.get(self.kpi.facts)
        for column, word in sorted(read.words):
            known = COLUMNS[record].get(column) if record else None
            if known and known.words and word not in known.words:
                yield f"{column} is never {word!r}; {did_you_mean(word, sorted(known.words))}"

    def _placed(self) -> Iterator[Fault]:
        kpi = self.kpi
        if kpi.kind == "derived":
            return
        if kpi.placed_by and kpi.numerator_placed_by:
            message = "the numerator would count rows that the denominator does not; leave out this key or placed_by"
            yield ("numerator_placed_by",), message
        times = sorted(self.facts.main.placed_by)
        for key in ("placed_by", "numerator_placed_by"):
            time = getattr(kpi, key)
            if time and time not in times:
                yield (key,), f"rows of {kpi.facts} have no time {time!r}; {did_you_mean(time, times)}"
        timeless = kpi.kind == "state" or any(not each.placed_by and each.kind == kpi.kind for each in self.siblings)
        if not kpi.placed_by and not timeless and times:
            yield ("placed_by",), f"say which time puts a row into a window; known: {', '.join(times)}"

    def _business(self) -> Iterator[Fault]:
        columns = self.columns[self.kpi.facts]
        times = [*sorted(name for name, kind in columns.items() if kind == "time"), "moment"]
        if self.kpi.on_hold and "on_hold_seconds" not in columns:
            yield ("on_hold",), f"rows of {self.kpi.facts} have no time on hold; leave the key out"
        for i, time in enumerate(self.kpi.business or ()):
            if not columns.keys() >= {"source", "team"}:
                yield (
                    ("business",),
                    f"rows of {self.kpi.facts} have no team and no source, so no calendar; leave the key out",
                )
            elif time not in times:
                yield ("business", i), f"rows of {self.kpi.facts} have no time {time!r}; {did_you_mean(time, times)}"

    def _labels(self) -> Iterator[Fault]:
        kpi = self.kpi
        if kpi.kind == "derived":
            return
        own = {label for each in self.siblings for label in (*each.labels, *each.numerator_labels)}
        known = sorted((own | {*LABELS[kpi.record]}) & self.columns[kpi.facts].keys())
        for key in ("labels", "numerator_labels"):
            for i, label in enumerate(getattr(kpi, key)):
                if label in person_columns(RECORDS[kpi.record]):
                    yield (key, i), "people cannot be labels; they are counted, never shown"
                elif label not in known:
                    yield (key, i), f"{label!r} cannot be a label of {kpi.facts}; {did_you_mean(label, known)}"

    def _others(self) -> Iterator[Fault]:
        for i, name in enumerate(self.kpi.guard):
            if name not in self.kpis:
                yield ("guard", i), f"there is no KPI {name!r}; {did_you_mean(name, self.kpis)}"
        if self.kpi.kind == "derived":
            yield from lint_derived.faults(self.kpi, self.kpis)

    def _unit(self) -> Iterator[Fault]:
        kpi = self.kpi
        ending = next((end for end in ("ratio", "seconds") if kpi.name.endswith(f"_{end}")), "")
        if ending and kpi.unit not in ("", ending):
            yield ("unit",), f"the name already says {ending}; leave unit out, or choose another name"
        if not ending and not kpi.unit:
            yield (
                ("unit",),
                "give a unit, such as requests or currency; a name that ends in _seconds needs none",
            )
        if not ending and NO_UNIT.fullmatch(kpi.unit):
            yield ("unit",), "values are in base units: seconds for time, ratio (0 to 1) for a share"
        whole = lint_derived.whole(kpi, self.kpis)
        if whole and kpi.unit == "currency" and "currency" not in value_labels(kpi, self.kpis):
            yield ("labels",), "an amount of money needs the label currency, because two currencies cannot be added up"
        read = dict(expressions(kpi, self.columns[kpi.facts]))
        used = {column for key in AMOUNTS if isinstance(found := read.get(key), Expression) for column in found.columns}
        money = sorted(used & {*self.facts.main.money})
        if money and "currency" not in kpi.labels:
            yield (
                ("labels",),
                f"{money[0]} is an amount of money: add the label currency, because two currencies cannot be added up",
            )

    def _clashes(self) -> Iterator[Fault]:
        mine = self.kpi.all_series
        for other in self.kpis.values():
            if other.name != self.kpi.name and (shared := sorted(mine & other.all_series)):
                yield (), f"{shared[0]} is already a series of {other.name}; choose another name"
            elif other.name != self.kpi.name and _alert(other.title) == _alert(self.kpi.title):
                yield (
                    ("title",),
                    f"{other.name} already has this title, after which alerts and panels are named; choose another",
                )


def expressions(kpi: Kpi, columns: Mapping[str, ColumnKind]) -> Iterator[tuple[str, Expression | ExpressionError]]:
    """Key -> the checked condition or amount; parameters appear in it as `{name}`."""
    if kpi.kind == "derived":
        return
    kinds: Mapping[str, ColumnKind] = {"duration": "number", "number": "number", "predicate": "boolean"}
    known = {**columns, **{_stand_in(name): kinds[param.type] for name, param in kpi.params.items()}}
    for key in (*CONDITIONS, *AMOUNTS):
        text = kpi.written.get(key) or getattr(kpi, key)
        if not text or text == "true":
            continue
        for name in kpi.params:
            text = text.replace(f"{{{name}}}", _stand_in(name))
        try:
            read = (predicate if key in CONDITIONS else amount)(text, known)
        except ExpressionError as error:
            yield key, ExpressionError(str(error).replace(_stand_in(""), ""))
        else:
            yield key, read


def checked(kpi: Kpi, columns: Mapping[str, ColumnKind]) -> Kpi:
    """A KPI without faults, with its checked SQL; the SQL as written is kept, to be shown."""
    sql: dict[str, str] = {}
    written: dict[str, str] = {}
    for key, read in expressions(kpi, columns):
        if isinstance(read, Expression):
            sql[key] = _opened(read.sql, {f'CAST("{_stand_in(n)}" AS DOUBLE)': n for n in kpi.params})
            written[key] = _opened(getattr(kpi, key), {f"{{{{{name}}}}}": name for name in kpi.params})
    return kpi.model_copy(update={**sql, "written": written})


def _opened(text: str, params: Mapping[str, str]) -> str:
    """A text in which only parameters stand in braces, whatever braces were in it before."""
    text = text.replace("{", "{{").replace("}", "}}")
    for stand_in, name in params.items():
        text = text.replace(stand_in, f"{{{name}}}")
    return text


def _stand_in(param: str) -> str:
    return f"parameter__{param}"


@cache
def shared() -> frozenset[str]:
    """The parameters that facts know only one value of: that of the shipped KPI which has it."""
    params = (param for name in headers.every() for param in headers.facts(name).params)
    return frozenset(param.name for param in params if param.scope == "shared")


def _advice(param: str) -> str:
    if param in shared():
        return "which only the shipped KPI has; count another column"
    params = f"params: {{{param}: {{type: duration, default: 72h}}}}"
    return f"which this KPI does not have; add {params} and compare with {{{param}}}"


def _alert(title: str) -> str:
    return "".join(sign for sign in title.lower() if sign.isalnum())
