"""One module per platform. To add one: copy a neighbour, then name it here."""

from importlib import import_module
from types import ModuleType

CONNECTORS: dict[str, ModuleType] = {
    name: import_module(f"exporter.connectors.{module}")
    for name, module in {
        "n8n": "n8n",
        "prefect": "prefect",
    }.items()
}
"""The `type` of a source in the configuration -> the module that reads it."""
