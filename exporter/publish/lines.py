"""Families as lines of both text formats: the very bytes that the client library would write, for less work.

A sample has the same line in both formats; only what stands above a family differs. The labels of a segment are the
same in dozens of families, so their text is made once.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial

from prometheus_client.utils import floatToGoString

from exporter.evaluation.stats import Distribution, Family
from exporter.publish.content_negotiation import TEXT, Format

GO_NOTATION = 1e6
"""From here on Go writes numbers in another way than Python."""
IN_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
"""Of the older format, which leaves quotes there as they are."""
OLDER_KINDS = {"gaugehistogram": "histogram"}
"""Kind -> what the older format calls it."""
Values = tuple[str, ...]


class Lines:
    """Writes the samples of one exposition. The text of labels is kept for the families that have the same."""

    def __init__(self) -> None:
        self._labels: Callable[[Values], Callable[[Values], str]] = cache(lambda names: cache(partial(labels, names)))

    def of(self, family: Family) -> bytes:
        """The samples of a family, in the order of their labels."""
        samples = sorted(family.samples, key=lambda sample: sample[0])
        if family.kind == "gauge":
            name, text = family.name, self._labels(family.labels)
            return "".join(
                [f"{name}{text(of)} {number(v)}\n" for of, v in samples if not isinstance(v, Distribution)]
            ).encode()
        # Its sum and count are published already, as the numerator and denominator of the mean: buckets only.
        name, names = f"{family.name}_bucket", family.labels
        return "".join(
            f"{name}{line} {number(count)}\n"
            for of, value in samples
            if isinstance(value, Distribution)
            for line, (_, count) in zip(
                bucket_labels(names, of, (bound for bound, _ in value.buckets)), value.buckets, strict=True
            )
        ).encode()


def head(family: Family, format_: Format) -> str:
    """What stands above a family."""
    older = format_ is TEXT
    text = family.help.translate(IN_HELP if older else IN_LABEL)
    kind = OLDER_KINDS.get(family.kind, family.kind) if older else family.kind
    return f"# HELP {family.name} {text}\n# TYPE {family.name} {kind}\n"


def labels(names: Values, values: Values) -> str:
    """The labels of a series, in the order of their names; nothing where it has none."""
    pairs = sorted(zip(names, values, strict=True))
    return "{" + ",".join([f'{name}="{value.translate(IN_LABEL)}"' for name, value in pairs]) + "}" if pairs else ""


def bucket_labels(names: Values, values: Values, uppers: Iterable[float]) -> list[str]:
    """The labels of each bucket of a series."""
    pairs = [(name, f'{name}="{value.translate(IN_LABEL)}"') for name, value in sorted(zip(names, values, strict=True))]
    before = "".join(f"{pair}," for name, pair in pairs if name < "le")
    after = "".join(f",{pair}" for name, pair in pairs if name > "le")
    return [f'{{{before}le="{bound_text(upper)}"{after}}}' for upper in uppers]


def number(value: float) -> str:
    """A value as the client writes it."""
    if value < GO_NOTATION:
        return repr(float(value))
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # the client has no types here
    return text


@lru_cache(256)  # a KPI has a dozen, the same in all of its series
def bound_text(bound: float) -> str:
    """A bucket bound as the client writes it everywhere: le="60" and le="60.0" would be two series."""
    return number(bound)
