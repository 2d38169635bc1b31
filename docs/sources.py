"""A hook of MkDocs: the pages of the repository become pages of the site, so that no text has a second copy.

What such a page links to is taken along: another page as a page, a picture as a picture, any other file as text below
`source/`.
"""

import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "overview.md",
    "GLOSSARY.md": "glossary.md",
    "CHANGELOG.md": "changelog.md",
    "DECISIONS.md": "decisions.md",
    "CONTRIBUTING.md": "contributing.md",
    "alerts/README.md": "alerts.md",
    "deploy/README.md": "deployment.md",
    "docs/performance.md": "performance.md",
    "exporter/connectors/README.md": "connectors.md",
    "exporter/kpis/README.md": "kpi-catalogue.md",
}
"""File of the repository -> page of the site."""
LINK = re.compile(r"(!?\[[^\]\n]*\]\()([^)\s]+)(\))")
PICTURES = (".png", ".svg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the repository's pages, what they link to, the config and the list of dashboards."""
    for source, uri in PAGES.items():
        text, linked = with_links((ROOT / source).read_text(encoding="utf-8"), source)
        files.append(File.generated(config, uri, content=text))
        for path in sorted(linked):
            if not files.get_file_from_path(target(path)):
                files.append(File.generated(config, target(path), content=(ROOT / path).read_bytes()))
    files.append(File.generated(config, "config.md", content=config_page()))
    files.append(File.generated(config, "dashboards.md", content=dashboards_page(config, files)))
    return files


def target(source: str) -> str:
    """Where a file that is no page is in the site."""
    return source if source.endswith(PICTURES) else f"source/{source}.txt"


def with_links(text: str, source: str) -> tuple[str, set[str]]:
    """The page with links that lead somewhere in the site, and the files they lead to that are not pages."""
    linked: set[str] = set()

    def led(match: re.Match[str]) -> str:
        before, address, after = match.groups()
        parts = urlsplit(address)
        if parts.scheme or not parts.path:
            return match[0]
        path = os.path.normpath(Path(source).parent / parts.path)
        if (ROOT / path).is_dir():
            path = f"{path}/README.md"
        if path not in PAGES:
            if not (ROOT / path).is_file():
                return match[0]  # MkDocs reports it
            linked.add(path)
        place = PAGES.get(path) or target(path)  # all pages are at the top of the site
        return f"{before}{place}{f'#{parts.fragment}' if parts.fragment else ''}{after}"

    return LINK.sub(led, text), linked


def config_page() -> str:
    """The example config, with every key."""
    text = (ROOT / "deploy/config.example.yaml").read_text(encoding="utf-8")
    where = "From `deploy/config.example.yaml`; `outcome-exporter schema` prints its JSON Schema."
    return f"# Config, every key\n\n{where}\n\n```yaml\n{text}```\n"


def dashboards_page(config: MkDocsConfig, files: Files) -> str:
    """Every dashboard: what it answers, its panels, and its picture where there is one."""
    parts = ["# Dashboards\n", (ROOT / "docs/dashboards.head.md").read_text(encoding="utf-8")]
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"\n## {board['title'].removeprefix('Outcome / ')}\n\n{board.get('description', '')}\n")
        for picture in sorted((ROOT / "docs/dashboards").glob(f"{path.stem}*.png")):
            uri = f"dashboards/{picture.name}"
            files.append(File.generated(config, uri, content=picture.read_bytes()))
            parts.append(f"\n![{board['title']}]({uri})\n")
        named = [panel["title"] for panel in board["panels"] if panel.get("title") and panel["type"] != "row"]
        parts.append(f"\nFile `dashboards/{path.name}`. First panels: {'; '.join(dict.fromkeys(named[:12]))}.\n")
    return "".join(parts)
