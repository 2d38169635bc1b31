"""Declarations -> files: rules, dashboards, pages, the example config. Committed, kept fresh by `render --check`."""

from collections.abc import Mapping
from pathlib import Path

from exporter.catalogue.kpi import catalogue
from exporter.render import connectors, runbook, samples
from exporter.render.any_kpi import any_kpi
from exporter.render.dashboards import dashboard
from exporter.render.docs import catalogue_page
from exporter.render.rules import DASHBOARD_URL, RUNBOOK_URL, Urls, kpi_rules
from exporter.render.view import view

WINDOWS = ("1d", "7d", "30d", "90d")
"""The windows offered on dashboards: those that are configured by default."""

EXAMPLE = "deploy/config.example.yaml"
"""Only its sources are made."""

MIXIN = "deploy/mixin/dashboards.libsonnet"


def made_files(root: Path, urls: Urls) -> dict[Path, str]:
    """Every file that is made -> its text."""
    kpis = catalogue()
    files = {
        root / "alerts/kpi.rules.yaml": (rules := kpi_rules(kpis, urls)),
        root / "alerts/README.md": runbook.page(root / "alerts", rules, kpis),
        root / "exporter/kpis/README.md": catalogue_page(kpis),
        root / "exporter/connectors/README.md": connectors.page(),
        root / EXAMPLE: samples.example((root / EXAMPLE).read_text(encoding="utf-8")),
        root / "dashboards/any-kpi.json": dashboard(any_kpi(kpis), kpis, windows=WINDOWS, explain=urls.explain),
    }
    for path in sorted((root / "dashboards/views").glob("*.yaml")):
        files[root / f"dashboards/{path.stem}.json"] = dashboard(
            view(path, kpis), kpis, windows=WINDOWS, explain=urls.explain
        )
    files[root / MIXIN] = mixin(sorted(path.name for path in files if path.suffix == ".json"))
    return files


def mixin(names: list[str]) -> str:
    """The dashboards, for jsonnet, which cannot list a folder."""
    lines = [f"  '{name}': importstr '../../dashboards/{name}',\n" for name in names]
    return f"// Made by `outcome-exporter render`; do not edit.\n{{\n{''.join(lines)}}}\n"


def render(
    root: Path,
    *,
    check: bool,
    runbook_url: str = RUNBOOK_URL,
    dashboard_url: str = DASHBOARD_URL,
    explain_url: str = "",
    more: Mapping[str, str] | None = None,
) -> list[str]:
    """Writes every made file that is not as it should be, or with `check` writes none; names those files either way.

    `more`: path -> text of files that are made of what stands above this package.
    """
    stale: list[str] = []
    files = made_files(root, Urls(runbook=runbook_url, dashboard=dashboard_url, explain=explain_url))
    for path, text in (files | {root / name: text for name, text in (more or {}).items()}).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(root)))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return stale
