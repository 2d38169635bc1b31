"""The command `schema`."""

import click

from exporter.cli.command import Command

EXAMPLES = {
    "schema > config.schema.json": "The schema, for an editor: the first line of the example config names it",
    "schema --kpis": "The schema of files that declare KPIs",
}


@click.command("schema", cls=Command, examples=EXAMPLES)
@click.option("--kpis", is_flag=True, help="The schema of the files in exporter/kpis/, instead of that of the config.")
def command(kpis: bool) -> None:
    """Print the JSON Schema of the config.

    For editors that complete and check the config while it is written.
    """
    click.echo(schema(kpis=kpis), nl=False)


def schema(*, kpis: bool = False) -> str:
    """The schema as text: of the config, or of the files in exporter/kpis/."""
    import json

    from exporter import connectors
    from exporter.catalogue.kpi import catalogue
    from exporter.config.schema import config_schema, kpis_schema

    content = kpis_schema() if kpis else config_schema(catalogue(), connectors.CONNECTORS)
    return json.dumps(content, indent=2) + "\n"
