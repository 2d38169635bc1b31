"""The JSON Schema of the config and of KPI files: what is valid fits, what has a wrong key or word does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.base import strict_yaml
from tests.json_schema import faults

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "deploy" / "config.example.yaml"
VALID = [EXAMPLE, *sorted((ROOT / "tests" / "configs" / "valid").glob("*.yaml"))]


def schema(*options: str) -> dict[str, Any]:
    """What the command prints."""
    found = CliRunner().invoke(main, ["schema", *options])
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.output))


@pytest.fixture(scope="module")
def of_config() -> dict[str, Any]:
    return schema()


@pytest.fixture(scope="module")
def of_kpis() -> dict[str, Any]:
    return schema("--kpis")


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_config_fits(path: Path, of_config: dict[str, Any]) -> None:
    assert [*faults(strict_yaml.load(path).data, of_config, of_config)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "exporter" / "kpis").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_of_kpis_fits(path: Path, of_kpis: dict[str, Any]) -> None:
    assert [*faults(strict_yaml.load(path).data, of_kpis, of_kpis)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: []\nevery: 1m\n", ": every is not known"),
        (
            "sources: []\nkpis: {no_show_ratio: {treshold: {warning: 1}}}\n",
            ".kpis.no_show_ratio: treshold is not known",
        ),
        ("sources: []\nkpis: {no_show_ratio: {basis: busy}}\n", ".kpis.no_show_ratio.basis: 'busy' is none of "),
        ("sources: []\nevaluation_interval: 5\n", ".evaluation_interval: 5 is no string"),
        ("sources: []\nwindows: [1 day]\n", ".windows[0]: '1 day' does not match "),
        ("windows: [1d]\n", ": sources is missing"),
    ],
)
def test_what_a_config_cannot_say_does_not_fit(
    text: str, message: str, of_config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "outcome.yaml"
    path.write_text(text)

    found = [*faults(strict_yaml.load(path).data, of_config, of_config)]
    assert any(message in each for each in found), found


def test_the_example_names_the_schema_for_editors(of_config: dict[str, Any]) -> None:
    first = EXAMPLE.read_text().splitlines()[0]
    name = first.removeprefix("# yaml-language-server: $schema=")

    assert first != name
    assert json.loads((EXAMPLE.parent / name).read_text()) == of_config, "make render"
