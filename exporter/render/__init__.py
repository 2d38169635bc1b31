"""KPI declarations -> files: rules, dashboards, catalogue page. Made, committed, and held fresh by `render --check`."""

from pathlib import Path

from exporter.catalogue.kpi import catalogue
from exporter.render import connectors
from exporter.render.any_kpi import any_kpi
from exporter.render.dashboards import dashboard
from exporter.render.docs import catalogue_page
from exporter.render.rules import DASHBOARD_URL, RUNBOOK_URL, Urls, kpi_rules
from exporter.render.view import view

WINDOWS = ("1d", "7d", "30d", "90d")
"""The windows offered on dashboards: those that are configured by default."""


def made_files(root: Path, urls: Urls) -> dict[Path, str]:
    """Every file that is made -> its text."""
    kpis = catalogue()
    files = {
        root / "alerts/kpi.rules.yaml": kpi_rules(kpis, urls),
        root / "exporter/kpis/README.md": catalogue_page(kpis),
        root / "exporter/connectors/README.md": connectors.page(),
        root / "dashboards/any-kpi.json": dashboard(any_kpi(kpis), kpis, windows=WINDOWS, runbook=urls.runbook),
    }
    for path in sorted((root / "dashboards/views").glob("*.yaml")):
        files[root / f"dashboards/{path.stem}.json"] = dashboard(
            view(path, kpis), kpis, windows=WINDOWS, runbook=urls.runbook
        )
    return files


def render(root: Path, *, check: bool, runbook_url: str = RUNBOOK_URL, dashboard_url: str = DASHBOARD_URL) -> list[str]:
    """Writes every made file that is not as it should be, or with `check` writes none; names those files either way."""
    stale: list[str] = []
    for path, text in made_files(root, Urls(runbook=runbook_url, dashboard=dashboard_url)).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(root)))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return stale
