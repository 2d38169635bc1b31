"""The command `rules`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail

EXAMPLES = {
    "rules --output rules": "Write them to the folder rules",
    "rules --output rules --format prometheusrule": "As an object of the Prometheus Operator",
    "rules --output rules --dashboard-url https://grafana.example": "Let alerts link to your Grafana",
}

FORMS = ("prometheus", "prometheusrule", "grafana")


@click.command("rules", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default=FORMS[0],
    show_default=True,
    help="Rules for Prometheus, for the Prometheus Operator, or alerts for Grafana (provisioning/alerting).",
)
@click.option("--runbook-url", help="URL of RUNBOOK.md; each alert links to its heading there.")
@click.option("--dashboard-url", help="URL of Grafana; alerts link to it.")
@click.option(
    "--explain-url", help="URL of the exporter; alerts link to its page. By default, as Prometheus scrapes it."
)
def command(
    config_path: Path, output: Path, form: str, runbook_url: str | None, dashboard_url: str | None,
    explain_url: str | None,
) -> None:  # fmt: skip
    """Write alert rules, runbook and dashboard.

    For the KPIs and thresholds of a config, including your own KPIs.
    """
    from exporter.catalogue.kpi import catalogue
    from exporter.render import own, rules
    from exporter.render.rule_formats import formatted

    config = loaded(config_path)
    urls = rules.Urls(
        runbook=runbook_url or own.RUNBOOK_URL,
        dashboard=dashboard_url or rules.DASHBOARD_URL,
        explain=explain_url or "",
    )
    windows = [name for name, _ in config.plan.windows]
    try:
        output.mkdir(parents=True, exist_ok=True)
        for made, text in own.files(config.plan.settings, catalogue(), windows, urls).items():
            name, content = formatted(text, form) if made == own.RULES else (made, text)
            (output / name).write_text(content, encoding="utf-8")
            click.echo(f"{output / name}: made")
    except OSError as error:
        fail(f"{output}: cannot be written: {error.strerror}; give a folder you may write to")
