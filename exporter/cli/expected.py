"""`check`: how many series a config will produce. It contacts nothing, so it loads no server."""

from exporter.base.clock import now
from exporter.config import Config
from exporter.evaluation.figure import Evaluation
from exporter.publish import forecast
from exporter.records import record_name
from exporter.store import StoreError
from exporter.store.status import SourceStatus


def expected(config: Config) -> list[str]:
    """How many series there will be and what gives way, from what is stored or else from an example."""
    plan, limits, moment = config.plan, config.limits, now()
    if config.store.path.exists():
        from exporter.runtime import evaluated, open_store, statuses  # noqa: PLC0415 - nothing is evaluated of no store

        try:
            with open_store(config) as store:
                evaluation = evaluated(config, store, moment, statuses(config, store, moment))
        except StoreError as error:
            return [*_of_example(config), f"series: the store could not be opened, so this is for an example: {error}"]
        if evaluation.figures:
            return [*forecast.forecast(evaluation, plan, limits).lines("for what is stored")]
    return _of_example(config)


def _of_example(config: Config) -> list[str]:
    records = frozenset(record_name(record) for source in config.sources for record in source.records)
    figures = forecast.example(config.plan, [SourceStatus(source="example", records=records)])
    evaluation = Evaluation(now(), tuple(figures), {})
    outlook = forecast.forecast(evaluation, config.plan, config.limits)
    return [*outlook.lines(forecast.assumed(config.plan, figures))]
