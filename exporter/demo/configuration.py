"""Writes the config that the demo's exporter runs on: as a user would write it, secrets in files of their own."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from exporter.demo.organisation import BAD_POLICY_FOR, BAD_POLICY_TEAM, SERVICES, TEAMS, WORKFLOWS

FILES = {
    "chat": ("request", "conversations"),
    "crm": ("opportunity", "opportunities"),
    "assistant": ("run", "runs"),
    "assistant-inventory": ("workflow", "workflows"),
    "accounts": ("account", "accounts"),
    "tool-use": ("activity", "activities"),
    "audit": ("audit", "audit"),
    "costs": ("cost", "costs"),
    "probe": ("service_level", "service-levels"),
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
  workflow: [team]
  booking: [team, channel]
  opportunity: [team, channel]
  account: [tool, team, cohort]
  activity: [tool, team, cohort]
  audit: [team]
  cost: [kind]
  service_level: [service, tier]

# What no platform knows.
calendars:
  office: {{time_zone: Europe/Berlin, hours: {{mon-fri: "08:00-18:00"}}, holidays: {{country: DE, subdivision: BE}}}}
workflows:
<workflows>
services:
<services>
teams:
<teams>
costs:
  - {{amount: 1180, currency: EUR, per: month, kind: licence, from: "2025-01-01"}}
  - {{amount: 150, currency: EUR, per: month, kind: licence, workflow: Invoice intake, from: "2025-01-01"}}
  - {{amount: 260, currency: EUR, per: month, kind: infrastructure, workflow: Reply drafts, from: "2025-01-01"}}
  - {{amount: 24000, currency: EUR, per: once, kind: training, from: "<before>"}}  # before anything was automated
shared_cost: {{by: runs}}

# What was changed on purpose, and when: reports and charts show before and after.
time_zone: Europe/Berlin
interventions:
  - {{date: "<policy>", what: New expense policy, where: {{team: {BAD_POLICY_TEAM}}}, kpis: [support]}}
go_live:
  cohort: {{wave-2: "<wave>"}}
  workflow: {{Invoice intake: "<intake>"}}

sources:
  - name: n8n
    type: n8n
    url: <n8n>
    api_key_file: secrets/n8n
    interval: {EVERY}
    initial_history: 120d
    segments:
      team: {{from: tags, match: "team:(.+)"}}
    fields:  # nobody steps in on these, and what they do is not looked at
      human_override: {{value: false}}
      rework: {{value: false}}

  - name: prefect
    type: prefect
    url: <prefect>/api
    username: exporter
    password_file: secrets/prefect
    interval: {EVERY}
    initial_history: 120d
    segments:
      team: {{from: tags, match: "team:(.+)"}}
    fields:  # nobody steps in on these, and what they do is not looked at
      human_override: {{value: false}}
      rework: {{value: false}}

  - name: servicenow
    type: servicenow
    url: <servicenow>
    auth:
      method: client_credentials
      client_id: exporter
      client_secret_file: secrets/servicenow
    interval: {EVERY}
    initial_history: 120d
    tables: [incident, change_request]
    incidents:  # what monitoring opens; the rest is what people ask for
      - {{from: contact_type, match: "monitoring|event"}}
    automation_users: [svc.automation]
    escalation_groups: [Second line]
    close_codes: {{backed_out: rolled_back}}
    segments:
      team:
        - {{from: business_service.name, match: "(.+) help"}}
        - {{from: assignment_group.name}}
    fields:
      requester: {{from: caller_id.user_name}}  # the address that the chat bot knows, too
      csat: {{from: u_satisfaction, scale: [1, 5]}}
      run_id: {{from: correlation_id}}  # where an automation opened it
      legacy_path: {{value: true}}  # the way before there was a chat bot
      environment: {{value: production}}
      unplanned: {{from: type, map: {{emergency: true}}, otherwise: false}}
      blocked_seconds: {{from: u_blocked_seconds}}

  - name: zendesk
    type: zendesk
    url: <zendesk>
    auth:
      method: client_credentials
      client_id: exporter
      client_secret_file: secrets/zendesk
      scope: [read]
    interval: {EVERY}
    initial_history: 120d
    escalated:
      - {{from: group.name, match: Second line}}
    segments:
      team: {{from: brand.name, map: {{Acme: care}}}}
    fields:
      category: {{from: custom.Topic}}
      requester: {{from: custom.Customer}}
      run_id: {{from: external_id}}
      legacy_path: {{value: true}}

  - name: calcom
    type: calcom
    url: <calcom>
    token_file: secrets/calcom
    interval: {EVERY}
    initial_history: 120d
    attended_after: 5m  # who stays away is marked at once here
    segments:
      team: {{from: eventType.slug, match: "(.+)-[a-z]+"}}
    fields:  # what the booking assistant writes down
      meeting_type: {{from: eventType.slug, match: ".+-([a-z]+)"}}
      requested_at: {{from: metadata.requested}}
      first_response_at: {{from: metadata.answered}}
      channel: {{from: metadata.channel}}
      automated: {{from: metadata.assistant}}
      conflict: {{from: metadata.conflict}}
      reminders: {{from: metadata.reminders}}
      value: {{from: metadata.value}}
      currency: {{from: metadata.currency}}
      opportunity_id: {{from: metadata.opportunity}}  # the deal in the CRM that it is about

  - name: github
    type: github
    url: <github>
    token_file: secrets/github
    interval: {EVERY}
    initial_history: 120d
    repositories: ["acme/*"]
    segments:
      team: {{from: repository.custom_properties.team}}
    fields:
      unplanned: {{from: payload.hotfix}}  # the pipeline writes it down

  - name: pagerduty
    type: pagerduty
    url: <pagerduty>
    api_key_file: secrets/pagerduty
    interval: {EVERY}
    initial_history: 120d
    segments:
      team: {{from: teams.0.summary}}
    fields:
      caused_by: {{from: title, match: ".* after (?:deployment|change) (.+)"}}  # in GitHub, or in ServiceNow
      started_at: {{from: custom_fields.started}}
      tier: {{from: custom_fields.tier}}
      users_affected: {{from: custom_fields.users}}
      outage: {{from: custom_fields.outage}}

<files>
kpis:
  groups:
    support: {{business_owner: head-of-service, technical_owner: support-tools, escalation: operations-board}}
    automation: {{business_owner: head-of-operations, technical_owner: automation-centre}}
    changes: {{business_owner: head-of-engineering, technical_owner: platform}}
    incidents: {{business_owner: head-of-engineering, technical_owner: platform, escalation: on-call-lead}}
    bookings: {{business_owner: head-of-sales, technical_owner: sales-operations}}
    rollout: {{business_owner: head-of-people, technical_owner: workplace-tools, cadence: monthly}}
    money: {{business_owner: finance, cadence: monthly}}
  csat_ratio: {{target: 0.8}}
  deflection_ratio:
    target: 0.45
    eligible: self_service  # what the chat bot never saw, it could not deflect
    owner: support
    baselines: {{previous: {{}}}}
  abandonment_ratio: {{owner: support}}
  escalation_ratio: {{owner: support, baselines: {{previous: {{}}, weekday_median: {{}}}}}}
  no_show_ratio: {{target: 0.1, owner: sales-operations, baselines: {{previous: {{}}}}}}
  activation_ratio: {{baselines: {{control: {{}}}}}}  # the same tool without the training
  unaided_ratio: {{baselines: {{control: {{}}}}}}
  completion_ratio:
    target: 0.95
    owner: platform
    baselines: {{fixed: {{from: "<before>", to: "<until>"}}}}  # before invoices were read by a machine
  time_saved_seconds: {{baselines: {{fixed: {{from: "<before>", to: "<until>"}}}}}}
  queue_seconds: {{min_coverage: 0.2}}  # n8n tells no time in the queue
  revenue_per_booking: {{min_coverage: 0.2}}  # most meetings are not about money
  exception_ratio: {{owner: platform}}
  change_failure_ratio:
    failure_window: 2h
    owner: platform
  blocked_seconds: {{min_coverage: 0.1}}  # GitHub does not tell it
  mttr_seconds: {{target: 2h, owner: platform}}
"""

SOURCE = f"""\
  - name: <name>
    type: files
    record: <record>
    path: records/<file>.jsonl
    interval: {EVERY}
    initial_history: 120d
"""
DAYS_AGO = {"policy": BAD_POLICY_FOR.days, "wave": 55, "intake": 95, "until": 96, "before": 116}
"""How many days ago something was done, or a period began or ended."""
OWN = {"chat": "    claimed_resolution_price: {amount: 0.99, currency: EUR}\n"}


RATES = {"hard_cost_avoided": 38, "capacity_released": 46, "productivity_gained": 62}
"""EUR per hour, by what becomes of the hours: work that is no longer bought, of the back office, of people who sell."""


def workflows() -> Iterator[str]:
    """What a person would take for a run. Of what nobody has measured no time is saved."""
    for workflow in WORKFLOWS:
        if workflow.manual_minutes:
            minutes = ", ".join(f"{minutes}m" for minutes in workflow.manual_minutes)
            keys = [f"manual_time: [{minutes}]", "manual_origin: time study"]
            keys += [f"category: {workflow.topic}"] if workflow.topic else []
            keys += [f"rate: {{amount: {RATES[workflow.claim]}, currency: EUR}}", f"claim: {workflow.claim}"]
            yield f"  {workflow.published}: {{{', '.join(keys)}}}"


def services() -> Iterator[str]:
    for service in SERVICES:
        if service.downtime_per_hour:
            yield f"  {service.name}: {{downtime_cost: {{amount: {service.downtime_per_hour}, currency: EUR}}}}"


def teams() -> Iterator[str]:
    for team in TEAMS:
        keys = [f"capacity: {team.capacity_hours}h"] if team.capacity_hours else []
        keys += [f"people: {team.people}"] if team.people else []
        # Those who work elsewhere in the world have other hours, which nobody has written down.
        keys += ["calendar: office"] if team.utc_offset == 1 else []
        if keys:
            yield f"  {team.name}: {{{', '.join(keys)}}}"


def sources() -> Iterator[str]:
    for name, (record, file) in FILES.items():
        yield SOURCE.replace("<name>", name).replace("<record>", record).replace("<file>", file) + OWN.get(name, "")


def write(folder: Path, addresses: Mapping[str, str], secrets: Mapping[str, str], now: datetime) -> Path:
    """The config in a folder. `addresses` and `secrets` are by name of the source. `now`: what days count back from."""
    (folder / "secrets").mkdir()
    for name, secret in secrets.items():
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(secret)
    text = CONFIG.replace("<files>", "\n".join(sources()).rstrip())
    for name, lines in {"workflows": workflows(), "services": services(), "teams": teams()}.items():
        text = text.replace(f"<{name}>", "\n".join(lines))
    for name, days in DAYS_AGO.items():
        text = text.replace(f"<{name}>", f"{now - timedelta(days=days):%Y-%m-%d}")
    for name, address in addresses.items():
        text = text.replace(f"<{name}>", address)
    path = folder / "config.yaml"
    path.write_text(text)
    return path
