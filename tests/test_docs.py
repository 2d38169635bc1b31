"""The documentation: links lead somewhere, configs load, commands exist. `make docs` checks the whole site."""

import re
from pathlib import Path

import pytest
import yaml

from exporter import config
from exporter.catalogue.kpi import catalogue
from exporter.connectors import CONNECTORS
from tests.shown import blocks, commands, unknown_options

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs/site"
PAGES = {path.name: path.read_text() for path in sorted(SITE.glob("*.md"))}
HOOK = (ROOT / "docs/sources.py").read_text()
TAKEN = dict(re.findall(r'^    "(\S+\.md)": "(\S+\.md)",$', HOOK, re.MULTILINE))
MADE = {"config.md", "dashboards.md"}
pages = pytest.mark.parametrize("name", PAGES)


@pages
def test_every_link_of_a_page_leads_to_a_page(name: str) -> None:
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGES[name])}

    assert {link for link in links if "://" not in link} <= {*PAGES, *TAKEN.values(), *MADE}


def test_every_page_is_in_the_menu_and_every_page_of_the_repository_is_there() -> None:
    menu = re.findall(r"^ *- [^:]+: (\S+\.md)$", (ROOT / "docs/mkdocs.yml").read_text(), re.MULTILINE)

    assert sorted(menu) == sorted({*PAGES, *TAKEN.values(), *MADE})
    assert [source for source in TAKEN if not (ROOT / source).is_file()] == []


@pages
def test_every_command_it_shows_is_there_with_its_options(name: str) -> None:
    assert unknown_options(PAGES[name]) == []


def test_getting_started_shows_commands_and_a_config_that_loads(tmp_path: Path) -> None:
    text = PAGES["getting-started.md"]
    [shown] = [block for block in blocks(text, "yaml") if block.startswith("sources:")]
    (tmp_path / "outcome.yaml").write_text(shown)
    loaded = config.load(tmp_path / "outcome.yaml", catalogue(), CONNECTORS, {})

    assert [source.name for source in loaded.sources] == ["desk"]
    assert len(commands(text)) >= 8


@pages
def test_the_scrape_jobs_it_shows_have_the_name_that_the_rules_ask_for(name: str) -> None:
    shown = [yaml.safe_load(block) for block in blocks(PAGES[name], "yaml") if "scrape_configs:" in block]
    jobs = {job["job_name"] for each in shown for job in each["scrape_configs"]}

    assert jobs <= {"outcome-exporter"}


@pages
def test_keys_series_and_alerts_it_names_exist(name: str) -> None:
    example = (ROOT / "deploy/config.example.yaml").read_text()
    alerts = "".join(path.read_text() for path in (ROOT / "alerts").glob("*.yaml"))
    code = "".join(path.read_text() for path in (ROOT / "exporter").rglob("*.py"))
    text = PAGES[name]

    assert [key for key in re.findall(r"`store\.(\w+)`", text) if f"  {key}:" not in example.replace("# ", "")] == []
    assert [name for name in re.findall(r"\bOutcome[A-Z]\w+", text) if f"alert: {name}\n" not in alerts] == []
    assert [
        each for each in re.findall(r"`(outcome_(?:source|evaluation|config)_\w+)`", text) if each not in code
    ] == []
