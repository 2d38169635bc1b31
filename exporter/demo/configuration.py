"""Writes the config that the demo's exporter runs on: as a user would write it, secrets in files of their own."""

from collections.abc import Mapping
from pathlib import Path

FILES = {
    "chat": ("request", "conversations"),
    "bookings": ("booking", "bookings"),
    "incidents": ("incident", "incidents"),
    "changes": ("change", "changes"),
    "costs": ("cost", "costs"),
}
"""Name of the source -> the record it feeds, and what its file is called."""

EVERY = "10s"  # between two polls of a source, and between two evaluations

CONFIG = f"""\
# The demo's config; deploy/config.example.yaml explains every key.
store: {{path: outcome.duckdb}}
evaluation_interval: {EVERY}
labels:
  request: [team, channel]
  incident: [team, service]
  change: [team, service]
  run: [team, workflow]
  booking: [team, channel]
  cost: [kind]

sources:
  - name: n8n
    type: n8n
    url: <n8n>
    api_key_file: secrets/n8n
    interval: {EVERY}
    initial_history: 120d
    segments:
      team: {{field: tags, match: "team:(.+)"}}

  - name: prefect
    type: prefect
    url: <prefect>/api
    username: exporter
    password_file: secrets/prefect
    interval: {EVERY}
    initial_history: 120d
    segments:
      team: {{field: tags, match: "team:(.+)"}}

  - name: request-tracker
    type: request-tracker
    url: <request-tracker>
    token_file: secrets/request-tracker
    interval: {EVERY}
    initial_history: 120d
    bots: [triage-bot]
    escalation_queues: [Second line]
    segments:
      team: {{field: CustomFields.Team}}
    fields:
      category: {{field: CustomFields.Topic}}
      channel: {{value: email}}

<files>
kpis:
  deflection_ratio:
    eligible: self_service  # what the chat bot never saw, it could not deflect
    owner: support
  abandonment_ratio: {{owner: support}}
  escalation_ratio: {{owner: support}}
  no_show_ratio: {{owner: sales-operations}}
  completion_ratio: {{owner: platform}}
  exception_ratio: {{owner: platform}}
  change_failure_ratio: {{owner: platform}}
  mttr_seconds: {{owner: platform}}
"""

SOURCE = f"""\
  - name: <name>
    type: files
    record: <record>
    path: records/<file>.jsonl
    interval: {EVERY}
    initial_history: 120d
"""


def write(folder: Path, addresses: Mapping[str, str], secrets: Mapping[str, str]) -> Path:
    """The config in a folder. `addresses` and `secrets` are by name of the source."""
    (folder / "secrets").mkdir()
    for name, secret in secrets.items():
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(secret)
    sources = "\n".join(
        SOURCE.replace("<name>", name).replace("<record>", record).replace("<file>", file)
        for name, (record, file) in FILES.items()
    )
    text = CONFIG.replace("<files>", sources.rstrip())
    for name, address in addresses.items():
        text = text.replace(f"<{name}>", address)
    path = folder / "config.yaml"
    path.write_text(text)
    return path
