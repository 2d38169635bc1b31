"""The effective config: it says everything, means the same as the file, and holds no secret."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.base import strict_yaml
from exporter.config import Config, effective
from exporter.config.section import AuthSection, SourceSection, StoreSection
from tests.test_config import CONFIGS, ENVIRON, load

VALID = sorted((CONFIGS / "valid").glob("*.yaml"))


def again(config: Config, folder: Path) -> tuple[Config, dict[str, Any]]:
    """A config as its effective text is read, and that text's content."""
    content = effective.effective(config, strict_yaml.read_yaml(config.file)[0].data)
    (folder / "again.yaml").write_text(strict_yaml.text(content))
    return replace(load(folder / "again.yaml", ENVIRON), file=config.file), content


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_the_effective_config_means_the_same_and_is_its_own_effective_config(path: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(path.parent, tmp_path / "copy"))
    config = load(folder / path.name)
    second, content = again(config, folder)
    (folder / "first.yaml").write_text(strict_yaml.text(content))
    third = effective.effective(load(folder / "first.yaml"), strict_yaml.read_yaml(folder / "first.yaml")[0].data)

    assert replace(second, warnings=()) == replace(config, warnings=())
    assert third == content


def test_it_says_the_defaults_of_sections_sources_connectors_and_kpis(tmp_path: Path) -> None:
    (tmp_path / "outcome.yaml").write_text(
        "sources:\n  - {name: a, type: n8n, url: 'https://n8n.example.com', api_key: '${KNOWN}'}\n"
        "kpis: {no_show_ratio: {threshold: {warning: 0.1}}}\n"
    )
    _, content = again(load(tmp_path / "outcome.yaml"), tmp_path)

    assert content["store"]["retention"] == "400d"
    assert content["labels"]["request"] == ["team", "category"]
    assert content["sources"][0]["api_key"] == "${KNOWN}"
    assert content["sources"][0]["max_staleness"] == "1h"
    assert content["sources"][0]["page_size"] == 250
    assert content["kpis"]["no_show_ratio"]["threshold"] == {"warning": 0.1, "critical": 0.3}


def test_what_is_no_reference_is_hidden() -> None:
    content = {"sources": [{"token": "abc", "secret": ["${A}", "def"], "token_file": "secrets/a", "url": "https://a"}]}

    assert effective.hidden(content) == {
        "sources": [
            {"token": "<secret>", "secret": ["${A}", "<secret>"], "token_file": "secrets/a", "url": "https://a"}
        ]
    }


def test_every_key_that_may_be_given_as_a_file_instead_is_a_secret() -> None:
    keys = {key for section in (StoreSection, SourceSection, AuthSection) for key in section.model_fields}

    assert {key for key in keys if f"{key}_file" in keys} == effective.SECRETS


def test_the_command_prints_it(tmp_path: Path) -> None:
    (tmp_path / "outcome.yaml").write_text('sources: [{name: a, type: files, record: request, path: "*.csv"}]\n')
    ended = CliRunner().invoke(main, ["config", "print", "--config.file", str(tmp_path / "outcome.yaml")])

    assert ended.exit_code == 0
    assert "store:\n  path: outcome.duckdb\n  retention: 400d\n" in ended.output
