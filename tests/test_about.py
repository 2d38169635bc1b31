"""What `outcome-exporter connectors` says, and that its page says the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.cli.about import described
from exporter.collect.mapping import Which
from exporter.connectors import CONNECTORS
from exporter.records import RECORDS
from exporter.records.columns import COLUMNS
from exporter.render.connectors import about, default, escaped

NAMES = sorted(CONNECTORS)
PAGE = Path(__file__).parents[1] / "exporter" / "connectors" / "README.md"


def test_the_list_has_a_line_for_each_connector_with_what_it_reads_and_its_records() -> None:
    found = CliRunner().invoke(main, ["connectors"])
    lines = found.output.splitlines()

    assert [line.split()[0] for line in lines] == NAMES
    assert "n8n              n8n: an execution is a run. [run, workflow]" in lines
    assert lines[NAMES.index("files")].endswith(" [any record]")


def test_one_connector_is_shown_with_access_sample_options_and_what_is_not_seen() -> None:
    found = CliRunner(env={"COLUMNS": "100"}).invoke(main, ["connectors", "n8n"])
    lines = found.output.splitlines()

    assert found.exit_code == 0
    assert [line for line in lines if line.isalpha()] == [
        *("Records", "API", "Access", "Polls", "Sample", "Options", "Blind", "Checked")
    ]
    assert "      type: n8n" in lines
    assert "  inventory (default 1h): maximum age of the list of workflows" in lines
    assert "  modes (none): further execution modes that count as runs; default: none" in lines


def test_records_are_listed_and_one_is_shown_with_its_columns_and_their_words() -> None:
    listed = CliRunner().invoke(main, ["records"]).output.splitlines()
    found = CliRunner(env={"COLUMNS": "120"}).invoke(main, ["records", "request"])
    lines = [line.split(maxsplit=1) for line in found.output.splitlines()[2:]]
    wrong = CliRunner().invoke(main, ["records", "requst"])

    assert [line.split()[0] for line in listed] == list(RECORDS)
    assert found.output.startswith("request: Somebody asked for something: a ticket, ")
    assert [name for name, _ in lines] == [name for name in COLUMNS[RECORDS["request"]] if name != "source"]
    assert ["outcome", "one of abandoned, discarded, open, resolved"] in lines
    assert ["requester", "a text; a person, of whom only a hash is kept"] in lines
    assert (wrong.exit_code, "did you mean 'request'?" in wrong.output) == (1, True)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_the_command_says(name: str) -> None:
    page, text, each = PAGE.read_text(), described(name, 10_000), about(name)
    words = [*each.says.values(), *(option.meaning for option in each.options)]

    assert [word for word in words if word not in text] == []
    assert [word for word in words if escaped(word) not in page] == []
    assert "".join(f"  {line}\n" if line else "\n" for line in each.sample.splitlines()) in page
    assert {"API", "Access", "Polls", "Blind", "Checked"} == each.says.keys()


def test_a_default_is_written_as_the_config_writes_it() -> None:
    @dataclass(frozen=True)
    class Options:
        path: str
        web_url: str = ""
        overlap_seconds: int = 5400
        names: tuple[str, ...] = ("a", "b")
        which: Which = field(default_factory=lambda: Which(field="kind.name", match=r"\[x\] .*"))
        words: Mapping[str, str] = field(default_factory=lambda: {"Won't do": "discarded"})

    assert [default(option) for option in fields(Options)] == [
        "required",
        "none",
        "1h30m",
        "a, b",
        r"{from: kind.name, match: '\[x\] .*'}",
        "{Won't do: discarded}",
    ]


def test_an_unknown_connector_is_an_error_that_names_the_nearest() -> None:
    found = CliRunner().invoke(main, ["connectors", "prefct"])

    assert found.exit_code == 1
    assert found.output == "outcome-exporter: there is no connector 'prefct'; did you mean 'prefect'?\n"
