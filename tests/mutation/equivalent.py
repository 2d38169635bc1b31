"""Changes that change no meaning, each with its reason. One that a test notices does not belong here."""

from collections.abc import Mapping

EQUIVALENT: Mapping[str, Mapping[str, str]] = {}
"""Module below exporter.connectors -> line and change (see `Mutant.name`) -> why nothing is another for it."""
