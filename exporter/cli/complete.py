"""What a shell completes beyond commands and options. What it takes is imported at the TAB key."""

import click


def kpis(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The shipped KPIs."""
    from exporter.catalogue.kpi import catalogue

    return [name for name in catalogue() if name.startswith(begun)]


def connectors(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The types of sources."""
    from exporter.connectors import CONNECTORS

    return [name for name in sorted(CONNECTORS) if name.startswith(begun)]


def records(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The types of records."""
    from exporter.records import RECORDS

    return [name for name in RECORDS if name.startswith(begun)]
