"""Made files: fresh, written only where they differ, and complete both ways with the catalogue."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.base.strict_yaml import Mistakes
from exporter.catalogue.kpi import catalogue
from exporter.cli.commands.render import command
from exporter.render import EXAMPLE, render
from exporter.render.docs import anchor
from exporter.render.promql import alert_name

ROOT = Path(__file__).parents[1]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with the views and the example config, whose sources are not those of the samples, and nothing made."""
    shutil.copytree(ROOT / "dashboards/views", tmp_path / "dashboards/views")
    shutil.copytree(ROOT / "alerts", tmp_path / "alerts", ignore=shutil.ignore_patterns("kpi.rules.yaml"))
    text = (ROOT / EXAMPLE).read_text()
    (tmp_path / EXAMPLE).parent.mkdir()
    (tmp_path / EXAMPLE).write_text(text.replace("  - name: ", "  - name: old-"))
    return tmp_path


def test_made_files_are_as_render_would_make_them() -> None:
    assert render(ROOT, check=True) == []


def test_outside_a_checkout_the_command_names_the_one_for_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, [])

    assert result.exit_code == 1
    assert "here is no checkout of the project" in result.output
    assert list(tmp_path.iterdir()) == []


def test_check_names_what_is_stale_and_writes_nothing(elsewhere: Path) -> None:
    before = sorted(elsewhere.rglob("*"))
    stale = render(elsewhere, check=True)

    assert {"alerts/kpi.rules.yaml", "exporter/kpis/README.md", "dashboards/core-operations.json"} <= set(stale)
    assert sorted(elsewhere.rglob("*")) == before
    assert "- name: old-" in (elsewhere / EXAMPLE).read_text()


def test_render_writes_what_is_stale_and_then_nothing_is(elsewhere: Path) -> None:
    first = render(elsewhere, check=False)
    second = render(elsewhere, check=False)

    assert len(first) >= 3
    assert second == []
    for name in ("alerts/kpi.rules.yaml", EXAMPLE):
        assert (elsewhere / name).read_text() == (ROOT / name).read_text()


def test_a_file_changed_by_hand_is_found_and_made_again(elsewhere: Path) -> None:
    render(elsewhere, check=False)
    path = elsewhere / "exporter/kpis/README.md"
    path.write_text(path.read_text() + "\nA word of mine.\n")

    assert render(elsewhere, check=True) == ["exporter/kpis/README.md"]
    assert render(elsewhere, check=False) == ["exporter/kpis/README.md"]
    assert render(elsewhere, check=True) == []


def test_links_can_be_set(elsewhere: Path) -> None:
    wiki, grafana, exporter = "https://wiki.test/run", "https://grafana.test", "https://outcome.test"
    render(elsewhere, check=False, runbook_url=wiki, dashboard_url=grafana, explain_url=exporter)
    rules = (elsewhere / "alerts/kpi.rules.yaml").read_text()
    dashboard = (elsewhere / "dashboards/core-operations.json").read_text()

    assert "https://wiki.test/run#outcomenoshowratehigh" in rules
    assert "https://grafana.test/d/" in rules
    assert '"query": "https://outcome.test"' in dashboard
    assert "example.com" not in rules + dashboard


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("headline: no_show_ratio", "headlines: no_show_ratio", "Extra inputs are not permitted"),
        ("width: 13", "width: thirteen", "valid integer"),
        ("sentence: freshness", "sentence: cake", "'breaches', 'breaches and money' or 'freshness'"),
    ],
)
def test_a_mistake_in_a_view_names_file_and_line(elsewhere: Path, before: str, after: str, message: str) -> None:
    path = elsewhere / "dashboards/views/core-operations.yaml"
    text = path.read_text()
    path.write_text(text.replace(before, after, 1))
    line = text[: text.index(before)].count("\n") + 1

    with pytest.raises(Mistakes) as found:
        render(elsewhere, check=True)

    assert message in str(found.value)
    assert abs(int(re.search(r"core-operations\.yaml:(\d+):", str(found.value))[1]) - line) <= 1  # type: ignore[index] # it has one


def test_a_place_on_a_view_that_shows_nothing_is_refused(elsewhere: Path) -> None:
    path = elsewhere / "dashboards/views/core-operations.yaml"
    path.write_text(path.read_text().replace("{headline: no_show_ratio}", "{title: nothing}"))

    with pytest.raises(Mistakes, match="shows exactly one of"):
        render(elsewhere, check=True)


def test_a_kpi_that_does_not_exist_is_refused(elsewhere: Path) -> None:
    path = elsewhere / "dashboards/views/core-operations.yaml"
    path.write_text(path.read_text().replace("lines: reopen_ratio", "lines: reopened_ratio"))

    with pytest.raises(Mistakes, match=r"core-operations\.yaml:\d+: .*reopened_ratio.* is no KPI"):
        render(elsewhere, check=True)


def test_what_is_never_added_up_has_to_be_chosen(elsewhere: Path) -> None:
    path = elsewhere / "dashboards/views/core-operations.yaml"
    path.write_text(path.read_text().replace("headline: no_show_ratio", "headline: net_value"))

    with pytest.raises(Mistakes, match="net_value is never added up over claim"):
        render(elsewhere, check=True)


def test_the_catalogue_page_has_every_kpi_with_its_series_and_its_alert() -> None:
    page = (ROOT / "exporter/kpis/README.md").read_text()
    sections = dict(zip(*[iter(re.split(r"^### (.+)$", page, flags=re.MULTILINE)[1:])] * 2, strict=True))

    assert page.splitlines()[0].startswith("<!-- Made by")
    assert sorted(sections) == sorted(kpi.title for kpi in catalogue().values())
    for kpi in catalogue().values():
        text = sections[kpi.title]
        assert kpi.help in text
        assert all(f"`{name}`" in text for name in (kpi.name, *kpi.series, *kpi.params))
        assert all(catalogue()[guard].title in text for guard in kpi.guard)
        assert (alert_name(kpi) in text) == kpi.alerts


def test_links_on_the_catalogue_page_lead_somewhere() -> None:
    folder = ROOT / "exporter/kpis"
    page = (folder / "README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", page)
    headings = {anchor(title) for title in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)}

    assert len(links) > 50
    assert [link for link in links if not link.startswith("#") and not (folder / link.split("#")[0]).is_file()] == []
    assert {link[1:] for link in links if link.startswith("#")} <= headings


def test_links_in_the_runbook_lead_somewhere() -> None:
    page = (ROOT / "alerts/README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", page)
    headings = {title.lower() for title in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)}

    assert len(links) > 5
    assert [link for link in links if not link.startswith("#") and not (ROOT / "alerts" / link).exists()] == []
    assert {link[1:] for link in links if link.startswith("#")} <= headings
