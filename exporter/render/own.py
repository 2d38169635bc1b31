"""A config -> the rules, the runbook and the dashboard of exactly its KPIs and thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.breach import MIN_RECORDS
from exporter.evaluation.plan import Setting
from exporter.render.any_kpi import any_kpi
from exporter.render.dashboards import dashboard
from exporter.render.docs import thresholds
from exporter.render.promql import alert_name
from exporter.render.rules import ANY_KPI, HEAD, Urls, rule_file

RUNBOOK_URL = "https://runbooks.example.com/outcome-exporter/RUNBOOK.md"
"""A placeholder: a host that cannot exist."""
RULES = "kpi.rules.yaml"
RUNBOOK = """\
# Runbook

Written by `outcome-exporter rules` for the thresholds of a config; run it again when the config changes. The runbook
shipped with the exporter (alerts/README.md) explains how such an alert decides and describes the alerts about the
exporter itself.
"""


def files(
    settings: Sequence[Setting], shipped: Mapping[str, Kpi], windows: Sequence[str], urls: Urls
) -> dict[str, str]:
    """Name of a file -> its text."""
    kpis = {**shipped, **{setting.kpi.name: levelled(setting, windows) for setting in settings}}
    ruled = {setting.kpi.name: setting for setting in settings if setting.has_threshold or kpis[setting.kpi.name].spike}
    of_any = replace(urls, view=ANY_KPI)
    head = HEAD.format(min_records=MIN_RECORDS).replace("render` from exporter/kpis/*.yaml", "rules` from a config")
    head = head.replace("change the KPI, render, commit both", "change the config and run it again")
    rules = rule_file([kpis[name] for name in ruled], kpis, of_any)
    alerts = [rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"] if "alert" in rule]
    return {
        RULES: head + rules,
        "RUNBOOK.md": "\n".join([RUNBOOK, *(section(each, ruled[each["labels"]["kpi"]], kpis) for each in alerts)]),
        "any-kpi.json": dashboard(any_kpi(kpis), kpis, windows=tuple(windows), explain=urls.explain),
    }


def levelled(setting: Setting, windows: Sequence[str]) -> Kpi:
    """A KPI with the thresholds of the config; it has a rule, if only for single segments. A spike is one of a day."""
    spike = {} if "1d" in windows else {"spike": None}
    return setting.kpi.model_copy(update=({"threshold": setting.threshold} if setting.has_threshold else {}) | spike)


def section(alert: Mapping[str, Any], setting: Setting, kpis: Mapping[str, Kpi]) -> str:
    """The heading of one alert, and what to do."""
    kpi = kpis[setting.kpi.name]
    beside = "".join(f" Read beside it: {kpis[guard].title} (`{guard}`)." for guard in kpi.guard)
    beyond = f"; where that does not help, {setting.escalation}" if setting.escalation != "none" else ""
    window, looked_at = (f" --window {kpi.window}", f"over {kpi.window}") if kpi.windowed else ("", "as it is now")
    by_segment = "; some segments have their own" if setting.thresholds_by else ""
    limits = f" It is evaluated {looked_at}. Thresholds: {thresholds(kpi)}{by_segment}."
    against = limits if alert["alert"] == alert_name(kpi) else ""  # else it is compared with what is usual
    return f"""\
## {alert["alert"]}

**Meaning** {alert["annotations"]["summary"].removesuffix(".")} for {alert["for"]}. {kpi.title}: {kpi.help}{against}

**Impact** What this KPI measures is worse than you agreed on; the exporter itself is well.

**Diagnosis** Open the dashboard "Any KPI" with `{kpi.name}` and the alert's team: is it one segment or all?{beside}
Then look at the records themselves: `outcome-exporter explain {kpi.name} team=...{window}`.

**Mitigation** Tell the owner, {setting.owner}{beyond}.
If the records are wrong rather than the work, correct them at their source.

**False positives, and when to silence it** By `team`, for the days of a known event. If it fires every week, the
threshold is not the one you work by: change it in the config.
"""
