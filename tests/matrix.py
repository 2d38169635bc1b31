"""What each connector has been shown to do: a table of the tests of the contract and of meaning.

python -m tests.matrix var/tests.xml            prints it; ends with 1 where a test failed, or where checks.md is
                                                    another though nothing was left out
python -m tests.matrix var/tests.xml --write    writes exporter/connectors/checks.md, of which `render` makes a
                                                part of the connectors' page
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from exporter.connectors import CONNECTORS

FILE = Path(__file__).parents[1] / "exporter" / "connectors" / "checks.md"
SUITE = re.compile(r"^tests\.(test_connectors(_time)?|test_truth|test_receive)$")
ABOUT_CODE = "test_every_change_that_is_called_equivalent"
NOT_OF_IT = "not of this platform: "
FAILED, PASSED, NONE, LEFT_OUT = "failed", "yes", "-", "left out"


@dataclass(frozen=True)
class Result:
    """One test of one connector."""

    check: str
    connector: str
    outcome: str
    reason: str = ""


def results(path: Path) -> Iterable[Result]:
    """What a run of the tests has found out, from its file in JUnit's form."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own test run wrote it
        name, _, arguments = str(case.get("name")).partition("[")
        connector = connector_in(arguments.rstrip("]"))
        if not SUITE.match(str(case.get("classname"))) or not connector or name.startswith(ABOUT_CODE):
            continue
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield Result(sentence(name), connector, FAILED)
        elif skipped is None:
            yield Result(sentence(name), connector, PASSED)
        elif (reason := str(skipped.get("message"))).startswith(NOT_OF_IT):
            yield Result(sentence(name), connector, NONE, reason.removeprefix(NOT_OF_IT))
        else:
            yield Result(sentence(name), connector, LEFT_OUT)


def connector_in(arguments: str) -> str | None:
    """The connector among the arguments of a test, as pytest joins them: "silence-request-tracker"."""
    named = [each for each in CONNECTORS if re.search(rf"(^|-){re.escape(each)}(-|$)", arguments)]
    return max(named, key=len, default=None)


def sentence(name: str) -> str:
    words = name.removeprefix("test_").replace("_", " ").replace(" s ", "'s ")
    return words[:1].upper() + words[1:]


def table(found: Iterable[Result]) -> str:
    """As Markdown: a row for each check, a column for each connector, and below it why a check is none of one."""
    cells: dict[str, dict[str, str]] = defaultdict(dict)
    reasons: dict[str, set[str]] = defaultdict(set)
    for each in found:
        cells[each.check][each.connector] = worse(each.outcome, cells[each.check].get(each.connector))
        if each.outcome == NONE:
            reasons[each.connector].add(each.reason)
    names = sorted({name for row in cells.values() for name in row})
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [
        f"| {check} | {' | '.join(row.get(name, '') for name in names)} |" for check, row in sorted(cells.items())
    ]
    lines += ["", *(f"- `{name}`: {'; '.join(sorted(reasons[name]))}" for name in sorted(reasons))]
    return "\n".join(lines) + "\n"


def worse(one: str, other: str | None) -> str:
    ranked: Mapping[str | None, int] = {FAILED: 0, LEFT_OUT: 1, PASSED: 2, NONE: 3, None: 4}
    return one if ranked[one] <= ranked[other] else str(other)


def main(path: str, *options: str) -> int:
    made = table([*results(Path(path))])
    if "--write" in options:
        FILE.write_text(made)
        return 0
    sys.stdout.write(made)
    if f"| {FAILED} |" in made:
        return 1
    if LEFT_OUT in made:  # as where the platforms' specifications are not beside the checkout
        return 0
    if made != FILE.read_text():
        sys.stdout.write(f"{FILE.name} says otherwise: python -m tests.matrix {path} --write, then make render\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
