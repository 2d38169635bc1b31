"""The README: what it tells people to write is right, and what it points at is there."""

import re
from pathlib import Path

from exporter import config
from exporter.base import strict_yaml
from exporter.catalogue.kpi import catalogue
from exporter.connectors import CONNECTORS
from exporter.demo import stack
from tests.shown import commands, unknown_options

CHECKOUT = Path(__file__).parents[1]
TEXT = (CHECKOUT / "README.md").read_text()
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)))
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_every_link_leads_to_a_file() -> None:
    missing = [link for link in LINKS if "://" not in link and not (CHECKOUT / link).exists()]

    assert len(LINKS) > 5
    assert missing == []


def test_the_config_it_shows_is_sound(tmp_path: Path) -> None:
    shown = next(block for block in BLOCKS if "sources:" in block)
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"_file: (\S+)", shown):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("made up")
    (tmp_path / "outcome.yaml").write_text(shown)
    loaded = config.load(tmp_path / "outcome.yaml", catalogue(), CONNECTORS, {})

    assert [source.type for source in loaded.sources] == ["n8n", "request-tracker"]
    assert loaded.warnings == ()


def test_the_kpis_it_shows_are_sound(tmp_path: Path) -> None:
    source = "sources: [{name: a, type: files, record: request, path: requests.jsonl}]\n"
    path, loaded = tmp_path / "outcome.yaml", []
    for shown in (block for block in BLOCKS if block.startswith("kpis:")):
        path.write_text(source + shown)
        loaded.append(config.load(path, catalogue(), CONNECTORS, {}))

    assert [each.own for each in loaded] == [(), ("vip_escalation_ratio",)]


def test_the_comparison_it_shows_is_sound(tmp_path: Path) -> None:
    shown = next(block for block in BLOCKS if block.startswith("baselines:"))
    source = "sources: [{name: a, type: files, record: request, path: requests.jsonl}]\n"
    labels = "labels: {request: [team, category, cohort]}\n"
    (tmp_path / "outcome.yaml").write_text(source + labels + shown)
    loaded = config.load(tmp_path / "outcome.yaml", catalogue(), CONNECTORS, {})
    escalation = next(s for s in loaded.plan.settings if s.kpi.name == "escalation_ratio")

    assert set(escalation.baselines.kinds) == {"fixed", "previous", "control", "weekday_median"}
    assert escalation.min_coverage == 0.5


def test_the_scrape_job_has_the_name_that_the_rules_ask_for() -> None:
    shown, mistakes = strict_yaml.parse(next(block for block in BLOCKS if "scrape_configs" in block), "README.md")
    rules = (CHECKOUT / "alerts" / "exporter.rules.yaml").read_text()
    job = shown.data["scrape_configs"][0]["job_name"]

    assert mistakes == []
    assert f'job="{job}"' in rules


def test_the_output_it_shows_is_the_demo_s() -> None:
    titles = {kpi.title for kpi in catalogue().values()}
    shown = re.search(r"^KPI .*?\n(.*?)\n\n", TEXT, re.DOTALL | re.MULTILINE)

    assert f"fires after {stack.FOR} here" in TEXT
    assert shown is not None
    assert {line.split("  ")[0] for line in shown[1].splitlines()} <= titles


def test_every_command_it_shows_is_there_with_its_options() -> None:
    assert len(commands(TEXT)) > 10
    assert unknown_options(TEXT) == []


def test_its_picture_is_there_and_small() -> None:
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)

    assert 10_000 < (CHECKOUT / picture).stat().st_size < 150_000


def test_every_target_it_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([\w-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][\w-]*)", re.sub(r"^#.*$", "", TEXT, flags=re.MULTILINE)))
    named = {name for name in named if re.search(rf"(?:`|^)make {name}", TEXT, re.MULTILINE)}

    assert {"demo", "install", "test", "render"} <= named
    assert named <= targets
