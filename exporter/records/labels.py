"""Which columns may be labels, and what they are called outside."""

from collections.abc import Mapping

from exporter.records import SEGMENTS

LABELS: Mapping[str, tuple[str, ...]] = {
    "request": (*SEGMENTS, "kind", "channel", "category", "request_type", "priority", "handled_by"),
    "incident": (*SEGMENTS, "severity", "service", "tier", "category"),
    "change": (*SEGMENTS, "service", "environment", "kind"),
    "run": (*SEGMENTS, "workflow", "owner"),
    "workflow": SEGMENTS,
    "booking": (*SEGMENTS, "channel", "meeting_type"),
    "opportunity": (*SEGMENTS, "channel"),
    "account": (*SEGMENTS, "tool"),
    "activity": (*SEGMENTS, "tool"),
    "audit": (*SEGMENTS, "kind"),
    "cost": (*SEGMENTS, "workflow", "service", "kind"),
    "service_level": (*SEGMENTS, "service", "tier"),
}
"""Record -> the columns that may become labels: never an id, a person, a URL, a time or what a figure counts."""

LABEL_NAMES: Mapping[str, str] = {
    "service": "app_service",
    "environment": "deploy_env",
    "region": "biz_region",
    "owner": "workflow_owner",
    "severity": "incident_severity",
}
"""Columns that would collide with labels that Prometheus, its operator or an alert sets."""
