"""Dashboards as TypeScript against the types of Grafana's newest release: unknown keys, wrong types, bad words."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.render.dashboards import every_panel
from tests.delivery.tools import CACHE, ROOT, asked, run

pytestmark = [asked, pytest.mark.real]
PACKAGES = ("@grafana/schema@13.2.3", "typescript@7.0.2")
RAW = "@grafana/schema/dist/esm/raw"
KINDS = {
    "stat": "StatPanelCfg",
    "table": "TablePanelCfg",
    "timeseries": "TimeSeriesPanelCfg",
    "state-timeline": "StateTimelinePanelCfg",
    "bargauge": "BarGaugePanelCfg",
    "text": "TextPanelCfg",
}
"""Kind of a panel -> the file of its options."""
WITH_FIELDS = {"table", "timeseries", "state-timeline"}
"""The kinds that have options of a field."""
LOOSE = """\
export type Loose<T> = T extends string ? `${T}` : T extends number ? number : T extends Array<infer U> ? Loose<U>[]
  : T extends object ? {[K in keyof T]: Loose<T[K]>} : T;
export type Part<T> = T extends string ? `${T}` : T extends number ? number : T extends Array<infer U> ? Part<U>[]
  : T extends object ? {[K in keyof T]?: Part<T[K]>} : T;
"""
"""JSON has words where the types have enums; and a panel need not set every option."""
PROMETHEUS_OWN = {"expr", "step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}
"""Of an annotation: the data source's, not Grafana's."""
NOT_IN_TYPES = {"hidden", "spanNulls"}
"""Of a field: what tables read up to Grafana 11, and an option of the state timeline that its types leave out."""


def fields(panel: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The options of fields, those in overrides too, as they are within each other."""
    found = [panel["fieldConfig"]["defaults"].get("custom", {})]
    for rule in panel["fieldConfig"]["overrides"]:
        nested: dict[str, Any] = {}
        for each in rule["properties"]:
            custom, *names = each["id"].split(".")
            place = nested
            for name in names[:-1]:
                place = place.setdefault(name, {})
            if custom == "custom":
                place[names[-1]] = each["value"]
        found.append(nested)
    for each in found:
        yield {key: value for key, value in each.items() if key not in NOT_IN_TYPES or panel["type"] == "timeseries"}


def typed(shown: Mapping[str, Any]) -> str:
    """A dashboard as TypeScript."""
    annotations = [
        {key: value for key, value in each.items() if key not in PROMETHEUS_OWN}
        for each in shown["annotations"]["list"]
    ]
    whole = {**shown, "panels": [], "annotations": {"list": annotations}}
    lines = ["import type {Loose, Part} from './loose';"]
    lines.append(f"import type {{Dashboard, Panel, RowPanel}} from '{RAW}/dashboard/x/Dashboard_types.gen';")
    for kind, file in KINDS.items():
        folder = kind.replace("-", "")
        lines.append(f"import type * as {folder} from '{RAW}/composable/{folder}/panelcfg/x/{file}_types.gen';")

    def check(of: str, value: Any) -> None:
        lines.append(f"export const v{len(lines)}: {of} = {json.dumps(value)};")

    check("Loose<Dashboard>", whole)
    for row in (panel for panel in shown["panels"] if panel["type"] == "row"):
        check("Loose<RowPanel>", {**row, "panels": []})
    for panel in every_panel(shown):
        kind = panel["type"].replace("-", "")
        check("Loose<Panel>", panel)
        check(f"Part<{kind}.Options>", panel["options"])
        for each in fields(panel) if panel["type"] in WITH_FIELDS else ():
            check(f"Part<{kind}.FieldConfig>", each)
    return "\n".join(lines) + "\n"


def compiled(folder: Path, files: Mapping[str, str]) -> None:
    """Fails with what the compiler says of the files."""
    if not (CACHE / "types/node_modules").exists():
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", CACHE / "types", *PACKAGES)
    (folder / "node_modules").symlink_to(CACHE / "types/node_modules")
    for name, text in {"loose.ts": LOOSE, **files}.items():
        (folder / name).write_text(text)
    how = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext")
    run("node_modules/.bin/tsc", *how, "--target", "esnext", *files, cwd=folder)


def test_grafana_types_accept_every_dashboard_and_refuse_a_word_that_is_none(tmp_path: Path) -> None:
    boards = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "dashboards").glob("*.json"))}
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()

    compiled(tmp_path / "good", {f"{name}.ts": typed(board) for name, board in boards.items()})
    first = boards["executive"]["panels"][1]
    first["options"]["graphMode"] = "areas"
    with pytest.raises(AssertionError, match='"areas"'):
        compiled(tmp_path / "bad", {"executive.ts": typed(boards["executive"])})
