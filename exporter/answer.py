"""What is known, asked of the running exporter, or, where none is running, of its store at rest."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from exporter import backfill, figures
from exporter.app import now
from exporter.config import Config
from exporter.figures import evaluated, fed, open_store, stored_freshness
from exporter.history import Instants
from exporter.question import LARGEST_SIZE, question
from exporter.report import rows
from exporter.server import ask


def known(config: Config) -> Any:
    """Every KPI as it is known now."""
    found = asyncio.run(ask(config.store.path, "/api/v1/kpis"))
    if found is not None:
        return found
    with open_store(config) as store:
        sources = fed(config, stored_freshness(config, store))
        moment = now()
        return rows(evaluated(config, store, moment, sources, fresh_at=moment), config.plan, sources)


def explained(config: Config, query: Mapping[str, str]) -> dict[str, Any]:
    """Where a figure comes from. Raises Unexplained or Refusal."""
    found = asyncio.run(ask(config.store.path, f"/api/v1/explain?{urlencode(query)}"))
    if isinstance(found, dict):
        return found
    with open_store(config) as store:
        asked = question(query, config.plan, most=LARGEST_SIZE)
        sources = fed(config, stored_freshness(config, store))
        return figures.explained(config, store, asked.at or now(), sources, asked)


def past(config: Config, chunk: Instants) -> Sequence[Sequence[str]]:
    """The figures of past instants. Raises Refusal."""
    path = f"{backfill.ROUTE}?{urlencode(backfill.query(chunk))}"
    found = asyncio.run(ask(config.store.path, path, seconds=None))
    if isinstance(found, list):
        return found
    with open_store(config) as store:
        return figures.past(config, store, fed(config, stored_freshness(config, store)), chunk)
