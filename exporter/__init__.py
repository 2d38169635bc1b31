"""Outcome Exporter: what automation achieves, as figures that hold up."""

__version__ = "0.1.0"
