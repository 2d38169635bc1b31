"""What the house forbids in PromQL, checked on the parsed expression; used for rules and for panels alike."""

import re
from collections.abc import Iterator
from functools import cache

import promql_parser as promql

from exporter.catalogue.kpi import catalogue
from exporter.collect.selfmetrics import Health
from exporter.publish.anomaly import PARTS, score
from exporter.publish.families import absent, baseline_absent, info, interventions
from exporter.records.labels import LABEL_NAMES, LABELS

COUNTER_FUNCTIONS = ("rate", "irate", "increase")
IDEMPOTENT = ("max", "min", "group")  # two equal replicas change nothing in these

Path = tuple[promql.Expr, ...]
"""An expression with everything around it, outermost first."""


@cache
def own_metrics() -> dict[str, str]:
    """Metric -> type, of what the exporter says about itself."""
    found = {"up": "gauge", "ALERTS": "gauge", "ALERTS_FOR_STATE": "gauge"}
    for family in Health(version="0").registry.collect():
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        found[family.name + suffix] = family.type
    return found


@cache
def kpi_metrics() -> dict[str, bool]:
    """Metric -> whether it carries `window`, of everything published for KPIs."""
    found = {info(()).name: False, absent({}).name: False, baseline_absent(()).name: False}
    found |= dict.fromkeys(("outcome_assumption_info", "outcome_intervention_info", "outcome_kpi_source_info"), False)
    found |= dict.fromkeys(("outcome_coverage_ratio", "outcome_unattributed_ratio"), True)
    found |= {family.name: False for family in (score(()), *interventions(()))}
    for kpi in catalogue().values():
        for name in (
            *kpi.series,
            *kpi.wholes.values(),
            *kpi.compared,
            f"{kpi.metric}_threshold",
            f"{kpi.metric}_target",
        ):
            found |= {name: kpi.windowed} if not name.endswith("_distribution") else {f"{name}_bucket": True}
        found |= {f"{kpi.metric}_{part}": False for part in PARTS}  # of a whole day
    return found


@cache
def based_metrics() -> set[str]:
    """The metrics that carry `basis` to tell calendar time from business time."""
    timed = [kpi for kpi in catalogue().values() if kpi.business]
    named = {name for kpi in timed for name in (*kpi.series, *kpi.wholes.values(), f"{kpi.metric}_threshold")}
    return {name + end for name in named for end in ("", "_bucket")}


@cache
def shared_metrics() -> dict[str, tuple[str, str]]:
    """Metric that counts a record under each value of a label -> that label, and the metric that counts it once."""
    return {
        name + end: (LABEL_NAMES.get(kpi.several, kpi.several), whole + end)
        for kpi in catalogue().values()
        if kpi.several
        for name, whole in kpi.wholes.items()
        for end in ("", "_bucket")
    }


@cache
def ready_made() -> set[str]:
    """Series that hold for a single segment only."""
    divided = [kpi for kpi in catalogue().values() if kpi.divided]
    return {kpi.metric + suffix for kpi in divided for suffix in ("", "_lower", "_upper", "_median")}


@cache
def known_labels() -> set[str]:
    """Every label that a series may have, ours and Prometheus' own."""
    published = {LABEL_NAMES.get(label, label) for labels in LABELS.values() for label in labels}
    of_kpis = {label for kpi in catalogue().values() for label in (*kpi.labels, *kpi.numerator_labels)}
    ours = {
        "window",
        "severity",
        "le",
        "baseline",
        "kpi",
        "kpi_owner",
        "title",
        "unit",
        "better",
        "reason",
        "source",
        "kind",
        "record",
        "column",
        "label",
        "basis",
        "split",
        "intervention",
        "place",
        "date",
    }
    asked = {"code", "field", "stage", "assumption", "subject", "value", "origin"}
    asked |= {"date", "intervention", "place"}
    cells = {f"k{i}" for i in range(9)}  # of a table: their text is a label
    return published | of_kpis | ours | asked | cells | {"job", "instance", "pod", "alertname", "alertstate", "version"}


def children(node: promql.Expr) -> list[promql.Expr]:
    """The expressions directly inside an expression."""
    if isinstance(node, promql.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, promql.Call):
        return [arg for arg in node.args if isinstance(arg, promql.Expr)]
    if isinstance(node, promql.MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return [node.expr]
    return []


def paths(node: promql.Expr, above: Path = ()) -> Iterator[Path]:
    """Every expression inside one, each with what is around it."""
    here = (*above, node)
    yield here
    for child in children(node):
        yield from paths(child, here)


def faults(text: str, recorded: frozenset[str] = frozenset()) -> list[str]:
    """Everything forbidden in an expression, in words; `recorded` are the names that rules make."""
    try:
        tree = promql.parse(text)
    except ValueError as error:
        return [f"does not parse: {error}"]
    return [fault for path in paths(tree) for fault in _faults_at(path, recorded)]


def _faults_at(path: Path, recorded: frozenset[str]) -> Iterator[str]:
    node = path[-1]
    if isinstance(node, promql.VectorSelector) and node.name is None:
        yield from _chosen(node, path)
    elif isinstance(node, promql.VectorSelector):
        yield from _selector(node, path, recorded)
    elif isinstance(node, promql.AggregateExpr):
        yield from _aggregation(node)
    elif isinstance(node, promql.BinaryExpr):
        yield from _operation(node, path)
    elif isinstance(node, promql.SubqueryExpr):
        yield "a subquery: record the inner expression instead"


def _selector(node: promql.VectorSelector, path: Path, recorded: frozenset[str]) -> Iterator[str]:
    name, own, kpis = node.name or "", own_metrics(), kpi_metrics()
    matchers = {m.name: m for m in node.matchers.matchers}
    if name not in own and name not in kpis and name not in recorded:
        yield f"{name}: no such metric"
    windowed = kpis.get(name, False) or (name in recorded and "window" in name.split(":")[0].split("_"))
    if windowed and ("window" not in matchers or matchers["window"].op != promql.MatchOp.Equal):
        yield f"{name}: window is not pinned"
    based = name in based_metrics() or (name in recorded and "basis" in name.split(":")[0].split("_"))
    pinned = "basis" in matchers and matchers["basis"].op == promql.MatchOp.Equal
    groups = [i for i, outer in enumerate(path) if isinstance(outer, promql.AggregateExpr) and str(outer.op) == "group"]
    if based and not pinned and any(_loses(outer, "basis") for outer in path[max(groups, default=0) :]):
        yield f"{name}: basis is neither pinned nor kept"
    yield from _counted_twice(name, path)
    for matcher in matchers.values():
        if matcher.name not in known_labels():
            yield f"{name}: no such label: {matcher.name}"
        if matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe):
            if matcher.value.startswith("^") or matcher.value.endswith("$"):
                yield f"{name}: a regex is anchored already: {matcher.value}"
            if not re.search(r"[.*+?|\[\](){}\\^$]", matcher.value):
                yield f"{name}: a regex without a pattern: {matcher.value}"
    functions = [outer.func.name for outer in path if isinstance(outer, promql.Call)]
    counted = any(function in COUNTER_FUNCTIONS for function in functions)
    if counted and own.get(name) != "counter":
        yield f"{name}: a rate of what is no counter"
    if own.get(name) == "counter" and not counted:
        yield f"{name}: a counter outside rate or increase"
    around = [str(outer.op) for outer in path if isinstance(outer, promql.AggregateExpr)]
    if around and name in ready_made() and {"sum", "avg"} & set(around):
        yield f"{name}: ratios and means cannot be added; divide sums of their parts"
    if around and around[-1] not in IDEMPOTENT and not counted and ":" not in name:
        yield f"{name}: {around[-1]} over replicas that are not collapsed"


def _counted_twice(name: str, path: Path) -> Iterator[str]:
    """A sum over a label of which a record may have several values, where its whole does not come first."""
    label, whole = shared_metrics().get(name, ("", ""))
    summing = any(_loses(outer, label) for outer in path if not _pinned(path[-1], label))
    first = any(
        isinstance(outer, promql.BinaryExpr) and str(outer.op) == "or" and whole in str(outer.lhs) for outer in path
    )
    if label and summing and not first:
        yield f"{name}: a record may count under several values of {label}; add up {whole} or {name}"


def _pinned(node: promql.Expr, label: str) -> bool:
    matchers = node.matchers.matchers if isinstance(node, promql.VectorSelector) else []
    return any(m.name == label and m.op == promql.MatchOp.Equal for m in matchers)


def _chosen(node: promql.VectorSelector, path: Path) -> Iterator[str]:
    """Faults of a selector that chooses a KPI by its name; which series it meets is tested where it is made."""
    text = str([m.value for m in node.matchers.matchers if m.name == "__name__"])
    matchers = {m.name: m for m in node.matchers.matchers if m.name != "__name__"}
    if "outcome_" not in text:
        yield f"{text}: no metric of ours is named"
    for label in ("window", "basis"):
        # One value, or none: a figure of now has no window.
        one = label in matchers and re.fullmatch(r"\w+\|?", matchers[label].value)
        if not one:
            yield f"{text}: {label} is not pinned"
    for name in matchers:
        if name not in known_labels():
            yield f"{text}: no such label: {name}"
    around = [str(outer.op) for outer in path if isinstance(outer, promql.AggregateExpr)]
    if not around or around[-1] not in IDEMPOTENT:
        yield f"{text}: replicas that are not collapsed"


def _loses(node: promql.Expr, label: str) -> bool:
    """Whether an expression adds up what a label tells apart."""
    if not isinstance(node, promql.AggregateExpr) or str(node.op) == "group":
        return False
    kept = node.modifier and node.modifier.type == promql.AggModifierType.By
    named = label in (node.modifier.labels if node.modifier else ())
    return not named if kept or not node.modifier else named


def _aggregation(node: promql.AggregateExpr) -> Iterator[str]:
    if str(node.op) == "avg":
        yield "avg: divide sums instead"
    if str(node.op) in ("topk", "bottomk"):
        yield f"{node.op}: a set that changes by itself"
    for label in node.modifier.labels if node.modifier else ():
        if label not in known_labels():
            yield f"no such label: {label}"
    for path in paths(node.expr):
        if isinstance(path[-1], promql.BinaryExpr) and str(path[-1].op) == "/" and not _safe(path[-1].rhs):
            yield "a division inside an aggregation without > 0: one NaN poisons the whole"


def _operation(node: promql.BinaryExpr, path: Path) -> Iterator[str]:
    left, right = _kept(node.lhs), _kept(node.rhs)
    matching = node.modifier.matching if node.modifier else None
    if matching and matching.type == promql.LabelModifierType.Include:
        for side in (left, right):
            if side is not None and not set(matching.labels) <= side:
                yield f"{node.op}: joined on {matching.labels}, but a side keeps only {sorted(side)}"
    elif matching is None and left is not None and right is not None and left != right:
        yield f"{node.op}: sides with different labels, {sorted(left)} and {sorted(right)}"
    if str(node.op) == "/" and not _safe(node.rhs) and not any(_filtered(outer) for outer in path):
        yield "a division without > 0: 0/0 is NaN"


def _kept(node: promql.Expr) -> set[str] | None:
    """The labels that an aggregation keeps; None where that cannot be told."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    if isinstance(node, promql.AggregateExpr):
        if str(node.op) in ("topk", "bottomk"):
            return None
        by = node.modifier
        if by is None or by.type == promql.AggModifierType.By:
            return set(by.labels) if by else set()
        return None
    if isinstance(node, promql.BinaryExpr) and isinstance(node.rhs, promql.NumberLiteral):
        return _kept(node.lhs)
    return None


def _safe(divisor: promql.Expr) -> bool:
    """Whether a divisor cannot be 0: a number, or anything filtered by > 0, or 1 plus something."""
    while isinstance(divisor, promql.ParenExpr):
        divisor = divisor.expr
    if isinstance(divisor, promql.NumberLiteral):
        return divisor.val != 0
    if not isinstance(divisor, promql.BinaryExpr):
        return False
    return _positive(divisor) or (str(divisor.op) == "+" and _safe(divisor.lhs))


def _positive(node: promql.Expr) -> bool:
    return (
        isinstance(node, promql.BinaryExpr)
        and str(node.op) == ">"
        and isinstance(node.rhs, promql.NumberLiteral)
        and not node.modifier
    )


def _filtered(node: promql.Expr) -> bool:
    """Whether an operand keeps rows with nothing to divide by out: a recorded ratio, or a division by (... > 0)."""
    for path in paths(node):
        inner = path[-1]
        if isinstance(inner, promql.VectorSelector) and (inner.name or "").endswith(":ratio"):
            return True
        if isinstance(inner, promql.BinaryExpr) and str(inner.op) == "/" and _positive(_bare(inner.rhs)):
            return True
    return False


def _bare(node: promql.Expr) -> promql.Expr:
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    return node


def compares(text: str) -> bool:
    """Whether an expression has a comparison, or asks for absence: what makes an alert one."""
    for path in paths(promql.parse(text)):
        node = path[-1]
        if isinstance(node, promql.BinaryExpr) and str(node.op) in (">", "<", ">=", "<=", "==", "!=", "unless"):
            return True
        if isinstance(node, promql.Call) and node.func.name == "absent":
            return True
    return False


def asks_absent(text: str) -> bool:
    """Whether an expression is true when something is missing."""
    return any(isinstance(p[-1], promql.Call) and p[-1].func.name == "absent" for p in paths(promql.parse(text)))
