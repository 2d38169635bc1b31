"""Many KPIs -> one table: each beside the chosen baseline, with n of both and whether it is more than chance."""

from collections.abc import Sequence

from exporter.render.figures import Figure
from exporter.render.panels import BLUE, NO_VALUE, ORANGE, Panel, hidden, override, table, target
from exporter.render.promql import ratio
from exporter.render.roles import COUNT, addressed
from exporter.render.words import address, form, labelled, mapped, written

CHANCE = "may be chance"


def compared_row(figure: Figure) -> str:
    """The difference of the value from its baseline, as a share of that; everything else in labels."""
    kpi, how = figure.kpi, form(figure.kpi)
    chosen = 'baseline="$baseline"'
    if not kpi.divided:
        now, then = figure.value(), figure.summed(f"{kpi.metric}_baseline", "", chosen)
        counts: list[tuple[str, str]] = []
    else:
        parts = [figure.summed(f"{kpi.stem}_baseline_{part}", "", chosen) for part in ("numerator", "denominator")]
        now, then = figure.value(), ratio(*parts)
        counts = [("n", figure.count()), ("n_then", parts[1])]
    row = f"(({now}) - ({then})) / (abs({then}) > 0)"
    columns = [("now", written(now, "now", "", how)), ("then", written(then, "then", "", how))]
    columns += [(name, written(expr, name, "", COUNT)) for name, expr in counts]
    columns.append(("verdict", verdict(figure, now, then, counts)))
    for name, expr in columns:
        row = f"{row}\n* on () group_left ({name}) {expr}"
    page = f"explain?kpi={kpi.name}" + "&basis=$basis" * bool(kpi.business)
    return labelled(address(row, page), "kpi", kpi.title)


def verdict(figure: Figure, now: str, then: str, counts: Sequence[tuple[str, str]]) -> str:
    """Better or worse where a ratio differs by more than chance; of anything else nobody can say that from its mean."""
    kpi = figure.kpi
    unknown = labelled("vector(1)", "verdict", "no interval")
    if kpi.kind != "ratio" or kpi.better == "none":
        return unknown
    sign = "" if kpi.better == "higher" else "0 - "
    n, m = (f"({expr})" for _, expr in counts)
    error = f"sqrt(({now}) * (1 - ({now})) / ({n} > 0) + ({then}) * (1 - ({then})) / ({m} > 0))"
    sure = f"sgn({sign}(({now}) - ({then}))) * (abs(({now}) - ({then})) > bool 1.96 * {error})"
    texts = (("0", CHANCE), ("1", "better"), ("-1", "worse"))
    return mapped(f'count_values("s", {sure} + 0)', "verdict", "s", texts)


def compared(figures: Sequence[Figure]) -> Panel:
    """A row for each KPI that has the chosen baseline."""
    rows = [compared_row(figure) for figure in figures]
    none = address(labelled("vector(NaN)", "kpi", "No KPI has this baseline in this window"), "?")
    columns = {"kpi": "KPI", "then": "Baseline", "now": "Now", "Value": "Difference", "n_then": "n of the baseline"}
    columns |= {"n": "n", "verdict": "Verdict", "address": "address", "s": ""}
    made = table(
        "Before and after",
        "Each KPI beside its baseline: the window before, a fixed period, or the control group, as configured. "
        "Verdict: whether a share differs by more than chance (95 %); means have no interval. No total over KPIs.",
        [target("\nor\n".join(rows) + f"\nor on () {none}", "", instant=True, table=True)],
        columns,
        unit="short",
        noValue="-",
    )
    verdicts = {"better": {"color": BLUE, "index": 0}, "worse": {"color": ORANGE, "index": 1}}
    made["fieldConfig"]["overrides"] = [
        override(
            "Verdict", mappings=[{"type": "value", "options": verdicts}], custom__cellOptions={"type": "color-text"}
        ),
        override("KPI", links=[addressed("${team:percentencode}")]),
        *(override(name, custom__align="right") for name in ("Baseline", "Now", "n of the baseline", "n")),
        override("Difference", unit="percentunit", decimals=0, custom__align="right", mappings=[NO_VALUE]),
        hidden("address"),
    ]
    return made
