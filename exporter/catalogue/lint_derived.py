"""The lint of a derived KPI: its parts exist and are of one kind, and its values can be added up."""

from collections.abc import Iterator, Mapping

from exporter.base.strict_yaml import At, did_you_mean
from exporter.catalogue.kpi import NON_ADDITIVE, Kpi, Reference, part_names, parts, value_labels
from exporter.records.labels import LABELS

Fault = tuple[At, str]
"""The keys that lead to what is wrong, and words."""

NO_SUM = {"currency", "from", "to"}
"""Labels that no part may lose: what is left would be a sum over them."""


def faults(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterator[Fault]:
    """Everything that is wrong with its parts."""
    if kpi.labels:
        yield ("labels",), "a derived KPI has the labels of its parts; leave the key out"
    wrong = [((key,), fault) for key, part in parts(kpi).items() if (fault := _of(part, kpis))]
    yield from wrong
    if not wrong and whole(kpi, kpis):
        yield from _times(kpi, kpis)
        yield from _labels(kpi, kpis)


def whole(kpi: Kpi, kpis: Mapping[str, Kpi]) -> bool:
    """Whether all its parts exist, and their parts too."""
    return all(name in kpis and whole(kpis[name], kpis) for name in part_names(kpi))


def _of(part: Reference, kpis: Mapping[str, Kpi]) -> str | None:
    name, which = part
    other = kpis.get(name)
    if other is None:
        return f"there is no KPI {name!r}; {did_you_mean(name, kpis)}"
    if other.aggregate == "max":
        return f"{name} is the largest value of its segments, which cannot be added up; choose another KPI"
    if which not in ("", "numerator", "denominator"):
        return f"write numerator or denominator after the dot: {name}.denominator"
    if which and not other.divided:
        return f"{name} is a {other.kind}, which has no {which}; write {name}"
    return None


def _times(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterator[Fault]:
    """A KPI with windows may be divided by one of the present; no other mixture is allowed."""
    (_, first), *others = parts(kpi).items()
    of_now = _of_now(first, kpis)
    for key, other in others:
        if of_now and not _of_now(other, kpis) and (key == "minus" or kpi.per != "second"):
            yield ("numerator",), f"{first} is a present state and {other} covers a window; choose parts of one kind"
        elif key == "minus" and _of_now(other, kpis) and not of_now:
            yield ("minus",), f"{other} is a present state and {first} covers a window; choose parts of one kind"


def _of_now(part: Reference, kpis: Mapping[str, Kpi]) -> bool:
    kpi = kpis[part.kpi]
    return _of_now(parts(kpi)["numerator"], kpis) if kpi.kind == "derived" else not kpi.windowed


def _labels(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterator[Fault]:
    own = {*value_labels(kpi, kpis)}
    of_parts = {key: {*value_labels(kpis[part.kpi], kpis)} for key, part in parts(kpi).items()}
    every = {label for labels in of_parts.values() for label in labels}
    for i, label in enumerate(kpi.drop):
        if label not in {*every, *LABELS[kpi.record]}:
            yield ("drop", i), f"no part has the label {label!r}; {did_you_mean(label, sorted(every))}"
    for label in sorted(every & NO_SUM - own):
        bare = [key for key, labels in of_parts.items() if label not in (*labels, *kpi.drop)]
        why = f"{getattr(kpi, bare[0])} does not have this label" if bare else "remove it from drop"
        yield (bare[0] if bare else "drop",), f"its parts have the label {label}, which must never be added up; {why}"
    many = sorted(own - of_parts.get("denominator", own) - {*NON_ADDITIVE})
    if many:
        why = f"{kpi.denominator} does not have the label {', '.join(many)} and would count once for each of its values"
        yield ("drop",), f"{why}; write drop: [{', '.join((*kpi.drop, *many))}]"
