"""One folder per platform. `outcome-exporter new connector NAME` adds one; see CONTRIBUTING.md."""

from exporter.collect.contract import Connector
from exporter.connectors import (
    airflow,
    awx,
    calcom,
    calendly,
    events,
    files,
    github,
    jira,
    n8n,
    otlp,
    pagerduty,
    prefect,
    request_tracker,
    rest,
    servicenow,
    uipath,
    zendesk,
)

CONNECTORS: dict[str, Connector] = {
    "airflow": airflow,
    "awx": awx,
    "calcom": calcom,
    "calendly": calendly,
    "events": events,
    "files": files,
    "github": github,
    "jira": jira,
    "n8n": n8n,
    "otlp": otlp,
    "pagerduty": pagerduty,
    "prefect": prefect,
    "request-tracker": request_tracker,
    "rest": rest,
    "servicenow": servicenow,
    "uipath": uipath,
    "zendesk": zendesk,
}
"""The `type` of a source in the configuration -> the module that reads it."""
