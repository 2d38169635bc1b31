"""Outcome Exporter: what automation achieves, in numbers that you can check."""

__version__ = "0.1.0"
