"""The commands, each in a module of its name, which is loaded when it is needed.

To add one: a module here with a `command`, and its name below. At the top it imports only click and exporter.cli's
small modules; everything else is imported by the function that needs it, so that `--help` is quick.
"""

COMMANDS = {
    "Set up": (
        "demo",
        "init",
        "connectors",
        "records",
        "check",
        "config",
        "test",
        "assets",
    ),
    "Run": (
        "run",
        "once",
        "health",
    ),
    "Read": (
        "kpis",
        "explain",
        "report",
        "rules",
        "backfill",
    ),
    "Maintain": (
        "erase",
        "schema",
        "completion",
    ),
    "Develop": (
        "new",
        "render",
    ),
}
"""Heading of `--help` -> its commands, in the order in which they are shown."""
