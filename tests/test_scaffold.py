"""`outcome-exporter new connector`: what it writes is refused until it is filled in, and then passes every check."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter import scaffold
from exporter.__main__ import main
from exporter.records import RECORDS
from tests.connectors import unfinished

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
MADE = {
    "acme": ("run", "link", "oauth"),
    "desk": ("request", "token", "token"),
    "pagers": ("incident", "offset", "api-key"),
    "shipments": ("change", "key", "oauth"),
    "meetings": ("booking", "link", "token"),
}
"""Name -> record, paging, auth: each choice at least once."""
WHOLE, MOST = "shipments", "acme"
"""Those that go through all of the contract suite, and through all but what takes seconds."""


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The least that passes for a checkout."""
    (tmp_path / scaffold.REGISTRY).parent.mkdir(parents=True)
    (tmp_path / "tests" / "connectors").mkdir(parents=True)
    shutil.copy(ROOT / scaffold.REGISTRY, tmp_path / scaffold.REGISTRY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_the_files_and_tells_them(empty: Path) -> None:
    found = CliRunner().invoke(main, ["new", "connector", "acme-flow", "--paging", "token"])
    written = [path.format("acme_flow") for path in scaffold.FILES.values()]

    lines = found.output.splitlines()
    assert lines[: len(written) + 1] == [*written, scaffold.REGISTRY]
    assert sorted(lines[len(written) + 3 : -2]) == sorted(unfinished.places("acme_flow", empty))
    assert all((empty / path).is_file() for path in written)
    assert '{\n        "acme-flow": acme_flow,\n' in (empty / scaffold.REGISTRY).read_text()
    assert "paging.by_token(" in (empty / "exporter/connectors/acme_flow/__init__.py").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Acme Flow", "'Acme Flow' is no name of a connector; write it like jira or request-tracker"),
        ("class", "'class' is no name of a connector; write it like jira or request-tracker"),
        ("n8n", "exporter/connectors/n8n/__init__.py exists already; choose another name"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(empty: Path, name: str, message: str) -> None:
    (empty / "exporter/connectors/n8n").mkdir()
    (empty / "exporter/connectors/n8n/__init__.py").touch()

    found = CliRunner().invoke(main, ["new", "connector", name])

    assert (found.exit_code, found.output) == (1, f"outcome-exporter: {message}\n")
    assert (empty / scaffold.REGISTRY).read_text() == (ROOT / scaffold.REGISTRY).read_text()


def test_outside_a_checkout_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["new", "connector", "acme"])

    assert found.exit_code == 1
    assert "this works in a checkout of the project only" in found.output
    assert [*tmp_path.iterdir()] == []


def test_a_long_registry_is_wrapped_as_the_formatter_does() -> None:
    text = (ROOT / scaffold.REGISTRY).read_text()
    for name in ("m-some-platform-with-a-long-name", "a-platform-with-a-long-name", "z-platform"):
        text = scaffold.registered(text, name, name.replace("-", "_"))
    formatted = subprocess.run(
        [BIN / "ruff", "format", "-"], input=text, capture_output=True, text=True, check=True
    ).stdout

    assert text == formatted
    assert "import (\n        a_platform_with_a_long_name,\n        airflow,\n" in text


def test_the_choices_of_the_command_are_those_that_there_are() -> None:
    command = main.commands["new"].commands["connector"]  # type: ignore[attr-defined] # groups
    choices = {option.name: tuple(option.type.choices) for option in command.params if option.opts[0] != "name"}

    assert choices == {"record": tuple(scaffold.SHAPES), "paging": scaffold.PAGINGS, "auth": scaffold.AUTHS}
    assert set(scaffold.SHAPES) <= set(RECORDS)


# In a copy of the checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the code and the tests with five connectors in it that nobody has filled in."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("exporter", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("scenarios", "bench"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    if (ROOT / ".mypy_cache").is_dir():  # else it takes its time
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    for name, (record, paging, auth) in MADE.items():
        scaffold.connector(copy, name, record=record, paging=paging, auth=auth)
    yield copy
    shutil.rmtree(copy)


def files(checkout: Path) -> list[Path]:
    """All that was written."""
    places = [place.format(name.replace("-", "_")) for name in MADE for place in scaffold.FILES.values()]
    return [checkout / place for place in places]


def ran(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    ours = {name: text for name, text in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}  # pytest says more
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, env=ours)


def suite(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return ran(checkout, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)


def test_before_it_is_filled_in_every_kind_of_test_fails_and_names_the_places(checkout: Path) -> None:
    found = suite(
        checkout,
        "tests/test_connectors.py::test_the_header_says_what_it_must[desk]",
        "tests/test_connectors.py::test_records_are_well_formed[desk]",
        "tests/test_connectors_time.py::test_more_items_of_one_instant_than_fit_a_page_are_all_read[desk]",
        "tests/test_truth.py::test_every_item_is_what_it_is_said_to_be[desk]",
        "tests/test_truth.py::test_without_any_word_of_a_table_something_is_not_what_it_is[desk]",
        "tests/test_truth.py::test_every_option_that_changes_a_meaning_is_in_a_truth[desk]",
        "tests/test_truth.py::test_the_words_are_those_that_the_platform_publishes[desk]",
        "tests/connectors/desk",
    )

    places = [*unfinished.places("desk", checkout)]
    named = {place.partition(":")[0] for place in places}
    assert re.search(r"^7 failed, 1 error in", found.stdout, re.MULTILINE), found.stdout
    assert found.stdout.count("the connector is not finished; fill in these places") == 8
    assert all(found.stdout.count(place) == 8 for place in places)
    assert named == {place.format("desk") for template, place in scaffold.FILES.items() if template}


def test_once_it_is_filled_in_it_passes_lint_types_contract_and_truth(checkout: Path) -> None:
    written = [path for path in files(checkout) if path.suffix == ".py"]
    for path in files(checkout):
        path.write_text(filled(path.read_text()))

    assert [place for name in MADE for place in unfinished.places(name.replace("-", "_"), checkout)] == []
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        checked = ran(checkout, str(BIN / command[0]), *command[1:], *map(str, written))
        assert checked.returncode == 0, checked.stdout + checked.stderr

    own = [f"tests/connectors/{name.replace('-', '_')}" for name in MADE]
    others = " or ".join(name for name in MADE if name not in (WHOLE, MOST))
    chosen = f"{WHOLE} or ({MOST} and not dying and not failing) or ((every_item or check_says) and ({others}))"
    found = suite(checkout, *scaffold.TESTS, *own, "-k", chosen)

    assert found.returncode == 0, found.stdout
    assert found.stdout.count("\n") < 20


def filled(text: str) -> str:
    """A file whose every place is left as the imagined platform has it."""
    text = re.sub(r"^ *# FILL: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r" +# FILL: .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"FILL: [^\"\n]*", "As it is.", text)
