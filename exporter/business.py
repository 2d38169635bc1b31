"""Durations on each basis: calendar time, which all records have."""

from collections.abc import Iterator
from dataclasses import replace

from exporter.kpi import Basis
from exporter.plan import Setting


def on_each_basis(setting: Setting) -> Iterator[Setting]:
    """A KPI as it is counted: as it is, or, where it is a duration that people need, with the label `basis`."""
    if setting.kpi.business:
        yield on_basis(setting, "calendar")
    else:
        yield setting


def on_basis(setting: Setting, basis: Basis) -> Setting:
    """A duration in one kind of time."""
    return replace(setting, fixed=(("basis", basis),))
