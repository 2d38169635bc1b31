"""One module per platform. To add one: copy a neighbour, then name it here."""

from types import ModuleType

from exporter.connectors import files, n8n, prefect, request_tracker

CONNECTORS: dict[str, ModuleType] = {
    "files": files,
    "n8n": n8n,
    "prefect": prefect,
    "request-tracker": request_tracker,
}
"""The `type` of a source in the configuration -> the module that reads it."""
