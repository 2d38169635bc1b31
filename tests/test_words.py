"""What users read is in the words of GLOSSARY.md: none of the words that are only used inside the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest
import yaml

from exporter.__main__ import main
from exporter.catalogue.kpi import catalogue
from exporter.cli.about import described
from exporter.collect.selfmetrics import Health
from exporter.connectors import CONNECTORS
from exporter.evaluation.coverage import HELP as COVERAGE_HELP
from exporter.explain.wording import WHY
from exporter.proposal import Given, proposed, report
from exporter.proposal.written import config
from exporter.publish.families import BASELINE_HELP, SUFFIX_HELP, absent, baseline_absent, info
from exporter.render.rules import kpi_rules
from tests.exports import AT, EXPORTS

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (?P<word>[^|]+?) \| (?P<means>[^|]+?) \| (?P<inside>[^|]*?) ?\|$", re.MULTILINE)
BEGINNINGS = (
    "Share of ", "Mean ", "Number of ", "Time ", "Cost ", "Configured ", "Handling time ", "Working time ",
    "Maintenance ", "Value of ", "Net value ", "Amount of ", "Downtime ",
)  # fmt: skip
Text = tuple[str, str]
"""(place, text)"""


def glossary() -> dict[str, str]:
    """Inside word -> the word to use instead."""
    rows = (match.groupdict() for match in ROW.finditer((ROOT / "GLOSSARY.md").read_text()))
    return {word: row["word"] for row in rows if row["word"] != "word" for word in row["inside"].split(", ") if word}


INSIDE = glossary()
PATTERN = re.compile(rf"\b({'|'.join(word + 's?' if word.isalpha() else word for word in INSIDE)})\b", re.IGNORECASE)


def prose(text: str) -> str:
    """Text without code, links, templates and examples: names are what they are."""
    text = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`|\]\([^)\n]*\)|\[[^\]\n]*/[^\]\n]*\]|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<[^>]*>", " ", text)
    return re.sub(r"\S*[/_]\S*", " ", text)


def said(texts: Iterator[Text]) -> list[str]:
    """Every inside word that users would read: where, and the word to use."""
    found = []
    for place, text in texts:
        for number, line in enumerate(prose(text).splitlines(), 1):
            for match in PATTERN.finditer(line):
                word = match[1].lower()
                better = INSIDE.get(word) or INSIDE[word.removesuffix("s")]
                found.append(f"{place}:{number}: {match[1]!r}, say {better!r}: {line.strip()[:100]}")
    return found


def kpi_texts() -> Iterator[Text]:
    for kpi in catalogue().values():
        for key in ("title", "help", "details", "alert_says"):
            yield f"{kpi.name}.{key}", getattr(kpi, key)


def help_texts() -> Iterator[Text]:
    for metric in Health(version="1").registry.collect():
        yield metric.name, metric.documentation
    for family in (absent({"x": "no_source"}), baseline_absent([("x", "fixed", "failed")]), info([])):
        yield family.name, family.help
    for texts in (SUFFIX_HELP, BASELINE_HELP, COVERAGE_HELP, WHY):
        yield from texts.items()


def command_texts() -> Iterator[Text]:
    assert isinstance(main, click.Group)
    commands = main.commands
    below = {
        f"{name} {below}": command
        for name, group in commands.items()
        if isinstance(group, click.Group)
        for below, command in group.commands.items()
    }
    for name, command in {"": main, **commands, **below}.items():
        with click.Context(command, info_name=f"outcome-exporter {name}") as context:
            yield f"outcome-exporter {name} --help", command.get_help(context)


def template_texts() -> Iterator[Text]:
    for path in sorted((ROOT / "exporter" / "server" / "templates").glob("*.html")):
        yield path.name, "" if path.stem == "style" else path.read_text()


def alert_texts() -> Iterator[Text]:
    shipped = kpi_rules(catalogue())
    written = [path.read_text() for path in sorted((ROOT / "alerts").glob("*.rules.yaml"))]
    for text in (shipped, *written):
        for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]:
            for rule in group["rules"]:
                for key in ("summary", "description") if "alert" in rule else ():
                    yield f"{rule['alert']}.{key}", rule["annotations"][key]


def comment_texts() -> Iterator[Text]:
    path = ROOT / "deploy" / "config.example.yaml"
    lines = path.read_text().splitlines()
    yield path.name, "\n".join(line.partition("#")[2] for line in lines)


def connector_texts() -> Iterator[Text]:
    for name in sorted(CONNECTORS):
        yield f"connectors {name}", described(name, 1000)


def document_texts() -> Iterator[Text]:
    for name in ("README.md", "deploy/README.md", "alerts/README.md"):
        yield name, (ROOT / name).read_text()


def init_texts() -> Iterator[Text]:
    """What `init` says of exports and writes for them, without the names in them."""
    for export in EXPORTS[1:4]:
        with TemporaryDirectory() as folder:
            export.write(Path(folder) / export.name)
            proposal = proposed(Path(folder) / export.name, AT, Given(), lambda _: None)
            yield export.name, "\n".join(report.lines(proposal, Path("outcome.yaml"), AT))
            yield f"config of {export.name}", config(proposal, Path(folder) / "outcome.yaml", "export")


SURFACES = (
    init_texts,
    kpi_texts,
    help_texts,
    command_texts,
    template_texts,
    alert_texts,
    comment_texts,
    document_texts,
    connector_texts,
)


@pytest.mark.parametrize("texts", SURFACES, ids=lambda texts: texts.__name__)
def test_users_read_no_inside_word(texts: object) -> None:
    assert callable(texts)

    assert said(texts()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Figures of now.", ["x:1: 'Figures', say 'value': Figures of now."]),
        ("Good.\nAll is sound.", ["x:2: 'sound', say 'valid': All is sound."]),
        ("Rows of `facts: request` in exporter/facts/request.sql", []),
        ("It is placed by its end.", ["x:1: 'placed by', say 'time (of a KPI)': It is placed by its end."]),
        ("A standard configuration", []),
    ],
)
def test_an_inside_word_is_found_with_its_place_and_the_word_to_use(text: str, expected: list[str]) -> None:
    assert said(iter([("x", text)])) == expected


@pytest.mark.parametrize("name", catalogue())
def test_the_help_of_a_kpi_begins_with_what_it_is_and_has_at_most_two_sentences(name: str) -> None:
    help_ = catalogue()[name].help

    assert help_.startswith(BEGINNINGS)
    assert help_.endswith(".")
    assert len(re.findall(r"\.(?: |$)", help_)) <= 2


def test_the_glossary_defines_each_word_once_in_a_sentence() -> None:
    rows = [match.groupdict() for match in ROW.finditer((ROOT / "GLOSSARY.md").read_text())][1:]

    assert [row["word"] for row in rows if not re.fullmatch(r"[A-Z`].*\.", row["means"])] == []
    assert len({row["word"] for row in rows}) == len(rows)
    assert len(rows) > 40
