"""PromQL shared by rules and panels: collapsing replicas, summing parts, the Wilson interval of the sums."""

from collections.abc import Iterable, Mapping

from exporter.catalogue.kpi import Kpi, value_labels
from exporter.records.labels import LABEL_NAMES

LAST = "10m"  # a few failed scrapes; two intervals of the longest scrape interval that works, and some


def summed(metric: str, selector: str, by: str = "", *, last: str = "", function: str = "sum") -> str:
    """A metric summed over its segments. An HA pair publishes everything twice, so replicas are collapsed first.

    `last`: how far back the last sample may lie, so that one failed scrape does not restart `for`.
    """
    series = f"{metric}{selector}"
    if last:
        series = f"last_over_time({series}[{last}])"
    grouping = f" by ({by})" if by else ""
    return f"{function}{grouping} (max without (instance, pod) ({series}))"


def counted_once(kpi: Kpi, metric: str, selector: str, by: str = "", *, last: str = "", function: str = "sum") -> str:
    """A metric of a KPI, summed. Where records counted under several services are in it, its whole is there, and taken.

    Each exporter by itself: whether it has wholes is its own affair.
    """
    whole = kpi.wholes.get(metric.removesuffix("_bucket"))
    if not whole or LABEL_NAMES.get(kpi.several or "", kpi.several) in by.split(", "):
        return summed(metric, selector, by, last=last, function=function)
    whole += "_bucket" if metric.endswith("_bucket") else ""
    each = by if "job" in by.split(", ") else ", ".join(("job", *filter(None, by.split(", "))))
    either = " or ".join(summed(name, selector, each, last=last, function=function) for name in (whole, metric))
    if each == by:
        return f"({either})"
    return f"{function}{f' by ({by})' if by else ''} ({either})"


def ratio(numerator: str, denominator: str) -> str:
    """One sum over another; nothing where there is nothing to divide by."""
    return f"{numerator} / ({denominator} > 0)"


def difference(gross: str, overhead: str) -> str:
    """One sum less another; nothing where the first is not known."""
    return f"{gross} - {overhead}"


def wilson(p: str, n: str, *, upper: bool) -> str:
    """One end of the 95 % Wilson interval of a ratio `p` over `n` records; 1.96 squared is 3.8416."""
    sign = "+" if upper else "-"
    margin = f"1.96 * sqrt(({p} * (1 - {p}) + 0.9604 / {n}) / {n})"
    return f"(\n  {p} + 1.9208 / {n}\n  {sign} {margin}\n)\n/ (1 + 3.8416 / {n})"


def kept(kpi: Kpi, kpis: Mapping[str, Kpi]) -> tuple[str, ...]:
    """The labels beside team and window over which its figures are not added up, as they are published.

    Those it has whatever is configured: two currencies make no sum, and it is a workflow that is broken, not a team.
    """
    own = [LABEL_NAMES.get(label, label) for label in value_labels(kpi, kpis) if label != "team"]
    return (*own, *(("basis",) if kpi.business else ()))


def worse(kpi: Kpi) -> str:
    """The comparison that holds when a KPI is on the wrong side of a threshold."""
    return ">" if kpi.better == "lower" else "<"


def lenient(kpi: Kpi) -> str:
    """How the thresholds of a team's segments become one: the one hardest to breach."""
    return "max" if kpi.better == "lower" else "min"


def alert_name(kpi: Kpi, ending: str = "") -> str:
    """No-show rate -> OutcomeNoShowRateHigh; or what else than its wrong side it ends in."""
    words = "".join(sign if sign.isalnum() else " " for sign in kpi.title).split()
    ending = ending or ("High" if kpi.better == "lower" else "Low")
    return "Outcome" + "".join(word[0].upper() + word[1:] for word in words) + ending


def looked_up(name: str, labels: Iterable[str], shape: str) -> str:
    """Template text that asks for another series of the same segment; empty where there is none."""
    labels = tuple(labels)
    selector = name + "{" + ",".join(f"{label}=%q" for label in labels) + "}"
    values = " ".join(f"$labels.{label}" for label in labels)
    return f"{{{{ with query (printf `{selector}` {values}) }}}}{{{{ . | first | value | {shape} }}}}{{{{ end }}}}"


def since(alert: str, labels: Iterable[str]) -> str:
    """Template text ", since ...": when the alert's condition began to hold, as Prometheus remembers it for `for`.

    Empty where Prometheus does not know it, as at its first look after a restart.
    """
    labels = tuple(labels)
    selector = f'ALERTS_FOR_STATE{{alertname="{alert}"' + "".join(f",{label}=%q" for label in labels) + "}"
    values = " ".join(f"$labels.{label}" for label in labels)
    began = '(. | first | value | toTime).Format "2006-01-02 15:04"'
    return f"{{{{ with query (printf `{selector}` {values}) }}}}, since {{{{ {began} }}}} UTC{{{{ end }}}}"
