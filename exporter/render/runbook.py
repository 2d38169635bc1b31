"""alerts/runbook.yaml and the rules -> the sections of alerts/README.md: of each alert what it means and what to do."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from exporter.base import strict_yaml
from exporter.catalogue.kpi import Kpi

WRITTEN = ("comparison.rules.yaml", "exporter.rules.yaml")
"""The rules that are written by hand."""
SECTIONS = re.compile(r"^### .*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
"""All sections under a heading of level 2; the page has two such headings, for KPIs and for the exporter."""
RECORDED = re.compile(r"\b[a-z_]+:[a-z_]+:[a-z]+(?:\{[^}]*\})?")


class Entry(BaseModel):
    """What is written about one alert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meaning: str
    impact: str
    diagnosis: str
    mitigation: str
    false_positives: str


def entries(path: Path) -> dict[str, Entry]:
    """The alerts of runbook.yaml, in its order."""
    return TypeAdapter(dict[str, Entry]).validate_python(strict_yaml.load(path).data)


@cache
def first_steps(folder: Path) -> dict[str, str]:
    """Alert -> the first sentence of what the runbook says to do: the alert says it, too."""
    known = entries(folder / "runbook.yaml")
    return {name: re.split(r"(?<=[.?!]) ", entry.mitigation, maxsplit=1)[0] for name, entry in known.items()}


def page(folder: Path, kpi_rules: str, kpis: Mapping[str, Kpi]) -> str:
    """The runbook: its text as it is, its sections made. `kpi_rules`: the text of the rules that are made."""
    texts = [kpi_rules, *((folder / name).read_text(encoding="utf-8") for name in WRITTEN)]
    groups = [group for text in texts for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    known = entries(folder / "runbook.yaml")
    # An alert without an entry is found by a test, which names it; the page shows what there is.
    about_kpis = [name for name in known if "kpi" in rules.get(name, {}).get("labels", {})]
    about_exporter = [name for name in known if name not in about_kpis]
    runs = iter(
        "\n".join(section(name, known[name], rules.get(name, {}), kpis) for name in names) + end
        for names, end in ((about_kpis, "\n"), (about_exporter, ""))
    )
    return SECTIONS.sub(lambda _: next(runs), (folder / "README.md").read_text(encoding="utf-8"))


def section(name: str, entry: Entry, rule: Mapping[str, Any], kpis: Mapping[str, Kpi]) -> str:
    """The section of one alert, under the heading to which its `runbook_url` leads."""
    kpi = kpis.get(rule.get("labels", {}).get("kpi", ""))
    shown = queries(rule.get("expr", ""), kpi)
    where = f"\n{records_of(kpi)}\n" if kpi else ""
    return f"""\
### {name}
**Meaning** {entry.meaning}

**Impact** {entry.impact}

**Diagnosis** {entry.diagnosis}

```promql
{shown}
```
{where}
**Mitigation** {entry.mitigation}

**False positives, and when to silence it** {entry.false_positives}
"""


def queries(expression: str, kpi: Kpi | None) -> str:
    """What to ask Prometheus: of a KPI the parts that its alert compares, else the expression of the alert."""
    if kpi is None:
        return expression.strip()
    return "\n".join(unique(each for each in RECORDED.findall(expression) if "_owner:" not in each))


def unique(names: Iterable[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(names))


def records_of(kpi: Kpi) -> str:
    """Where the records behind a value are."""
    window, option = (f"&window={kpi.window}", f" --window {kpi.window}") if kpi.windowed else ("", "")
    return (
        f"The records: `/explain?kpi={kpi.name}{window}&team=TEAM` on the exporter (`explain_url` of the alert), or "
        f"`outcome-exporter explain {kpi.name} team=TEAM{option}`."
    )
