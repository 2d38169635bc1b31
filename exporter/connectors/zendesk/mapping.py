"""Zendesk: what a ticket means, with its metric set and what else came beside it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exporter.collect.mapping import Which
from exporter.records import Channel, HandledBy, Json, Read, Request, RequestKind, RequestOutcome, instant
from exporter.records.unreadable import Words, value

STATUSES = Words[RequestOutcome](
    "outcome",
    {"new": "open", "open": "open", "pending": "open", "hold": "open", "solved": "resolved", "closed": "resolved"},
)
"""With statuses of an account's own, `status` is the category that theirs is in."""
ENDED = ("solved", "closed")
DELETED = "deleted"
"""The status in exports of what was deleted, also as spam."""
AI_AGENT = "ai_agent"
"""The support type of a conversation that no person has taken part in."""
SUGGESTED = "ar_suggest_true"
"""The tag that an autoreply leaves that suggested articles."""
CHANNELS = Words[Channel](
    "channel",
    {
        "email": "email",
        "4": "email",
        "web": "web",
        "0": "web",
        "web_widget": "web",
        "mobile": "web",
        "mobile_sdk": "web",
        "helpcenter": "portal",
        "help_center": "portal",
        "forum": "portal",
        "api": "api",
        "5": "api",
        "import": "api",
        "chat": "chat",
        "chat_transcript": "chat",
        "native_messaging": "chat",
        "sunshine_conversations_api": "chat",
        "business_messaging_slack_connect": "chat",
        "whatsapp": "social",
        "facebook": "social",
        "sunshine_conversations_facebook_messenger": "social",
        "twitter": "social",
        "sunshine_conversations_twitter_dm": "social",
        "instagram_dm": "social",
        "line": "social",
        "viber": "social",
        "telegram": "social",
        "wechat": "social",
        "kakaotalk": "social",
        "apple_business_chat": "social",
        "google_business_messages": "social",
        "google_rcs": "social",
        "voice": "phone",
        "voicemail": "phone",
        "phone_call_inbound": "phone",
        "sms": "other",
        "messagebird_sms": "other",
        "twilio_sms": "other",
        "any_channel": "other",
        "side_conversation": "other",
        "ticket_sharing": "other",
        "sample_ticket": "other",
        "rule": "other",
        "system": "other",
        "closed_ticket": "other",
    },
)
CONVERSATIONS = ("chat", "chat_transcript", "native_messaging")
"""Channels of live conversations, as far as tickets do not say it themselves."""
SCORES = Words[float | None]("csat", {"good": 1.0, "bad": 0.0, "offered": None, "unoffered": None})
ANSWERED_FIRST: dict[HandledBy | None, bool | None] = {
    "automation": True,
    "assisted": None,
    "human": False,
    None: False,
}
"""Whether automation answered first, by who did the work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What an account is called, and what its own words for things are."""

    url: str
    bots: Collection[str]  # ids of users that are automation
    discarded: Sequence[Which]
    ai_first: Sequence[Which]
    ai_since: Mapping[str, str]  # where, and since when, an AI agent has every messaging conversation first
    automated: Sequence[Which]
    claimed: Sequence[Which]
    escalated: Sequence[Which]
    time_field: str
    at: datetime  # when it is read


def request(account: Account, item: Json) -> Read | None:
    """A ticket as a request; None where it was deleted."""
    key = f"{item['id']:d}"
    if item["status"] == DELETED:
        return None
    metrics = item["metric_set"]
    outcome = value("outcome", lambda _: outcome_of(account, item), None)
    handler = value("handled_by", lambda _: handled_by(account, item, outcome), None)
    ended = outcome in ("resolved", "abandoned")
    record = Request(
        id=key,
        url=f"{account.url}/agent/tickets/{key}",
        updated_at=value("updated_at", updated_at, item),
        kind=value("kind", kind_of, item),
        opened_at=value("opened_at", instant, item["created_at"]),
        first_response_at=value("first_response_at", first_response_at, item),
        **ends(item, outcome),
        escalated_at=value("escalated_at", lambda _: escalated_at(account, item), None),
        reopen_count=value("reopen_count", lambda _: metrics["reopens"], None),
        replies=value("replies", lambda _: metrics["replies"], None),
        channel=value("channel", lambda via: CHANNELS[str(via["channel"])], item["via"]),
        request_type=item.get("type"),
        priority=item.get("priority"),
        requester=text(item.get("requester_id")),
        handled_by=handler,
        claimed_resolved=outcome == "resolved" and chosen(account.claimed, item) if ended else None,
        outcome=outcome,
        self_service=value("self_service", lambda _: self_service(account, item, handler, outcome), None),
        human_seconds=human_seconds(account, item, handler),
        csat=value("csat", score, item.get("satisfaction_rating")),
        sla_breached=value("sla_breached", lambda _: breached(account, item), None),
        on_hold_seconds=value("on_hold_seconds", lambda _: on_hold(metrics, "calendar"), None) if ended else None,
        on_hold_business_seconds=value("on_hold_business_seconds", lambda _: on_hold(metrics, "business"), None)
        if ended
        else None,
    )
    return Read(record, item)


def updated_at(item: Json) -> datetime | None:
    """When it last changed, also by the system, as far as that is said."""
    return moment(item.get("generated_timestamp")) or instant(item["updated_at"])


def outcome_of(account: Account, item: Json) -> RequestOutcome:
    """How a ticket stands. A conversation that was handed over, and that nobody took, was abandoned."""
    if chosen(account.discarded, item):
        return "discarded"
    outcome = STATUSES[item["status"]]
    if outcome == "resolved" and kind_of(item) == "conversation" and item.get("support_type") != AI_AGENT:
        return "abandoned" if untouched(account, item) else "resolved"
    return outcome


def ends(item: Json, outcome: RequestOutcome | None) -> Json:
    """When a ticket ended. When it was solved stays in its metric set after it is opened again."""
    if outcome in ("open", None):
        return {}
    closed_at = value("closed_at", closed, item)
    if outcome == "discarded":
        return {"closed_at": closed_at}
    column = "resolved_at" if outcome == "resolved" else "abandoned_at"
    return {"closed_at": closed_at, column: value(column, solved, item["metric_set"])}


def closed(item: Json) -> datetime | None:
    return instant(item["metric_set"]["status_updated_at"]) if item["status"] == "closed" else None


def solved(metrics: Json) -> datetime | None:
    """When it was solved; what was closed by a rule may never have been."""
    return instant(metrics["solved_at"] or metrics["status_updated_at"])


def first_response_at(item: Json) -> datetime | None:
    """When an agent first wrote to the requester. Replies are public comments of agents; notes are none."""
    metrics = item["metric_set"]
    if not metrics["replies"]:
        return None
    seconds = (metrics.get("reply_time_in_seconds") or {}).get("calendar")  # of conversations alone
    minutes = metrics["reply_time_in_minutes"]["calendar"]
    opened_at = instant(item["created_at"])
    if opened_at is None or (seconds is None and minutes is None):
        return None
    return opened_at + timedelta(seconds=60 * minutes if seconds is None else seconds)


def escalated_at(account: Account, item: Json) -> datetime | None:
    """When the AI agent handed over: a person took it, or it was seen to be an agent's. Or an escalation by option."""
    metrics = item["metric_set"]
    if handed_over(account, item):
        first = [instant(metrics["initially_assigned_at"]), moment(item["handed_over_at"])]
        # Where nobody took it before it ended, it was handed over by then.
        return min((at for at in first if at), default=None) or (solved(metrics) if item["status"] in ENDED else None)
    return instant(metrics["assigned_at"]) if chosen(account.escalated, item) else None


def handed_over(account: Account, item: Json) -> bool:
    """Whether an AI agent had a conversation before people got it."""
    if item.get("support_type") == AI_AGENT:
        return False
    if item["handed_over_at"] is not None or chosen(account.ai_first, item):
        return True
    if not item.get("from_messaging_channel"):
        return False
    since, opened_at = instant(account.ai_since.get(place_of(item))), instant(item["created_at"])
    return bool(since and opened_at and opened_at >= since)


def place_of(item: Json) -> str:
    """The channel and brand of a conversation: an AI agent is connected to some of them."""
    return f"{item['via']['channel']} {item.get('brand_id')}"


def answered_first(account: Account, item: Json) -> bool:
    """Whether automation had the first word."""
    suggested = SUGGESTED in (item.get("tags") or ())
    return item.get("support_type") == AI_AGENT or suggested or handed_over(account, item)


def self_service(
    account: Account, item: Json, handler: HandledBy | None, outcome: RequestOutcome | None
) -> bool | None:
    """The same; None also where a rule ended a ticket: it may have answered, or only have tidied up."""
    if answered_first(account, item):
        return True
    return None if outcome == "resolved" and untouched(account, item) else ANSWERED_FIRST[handler]


def untouched(account: Account, item: Json) -> bool:
    """Whether nobody, nor a bot that is known, took or answered it."""
    return not (item.get("assignee_id") or item["metric_set"]["replies"] or chosen(account.automated, item))


def handled_by(account: Account, item: Json, outcome: RequestOutcome | None) -> HandledBy | None:
    """Who did the work: people who are assigned or have replied; else automation, once it is done.

    People cannot solve what is not assigned. What was closed without having been solved is nobody's work.
    """
    metrics, assignee, done = item["metric_set"], text(item.get("assignee_id")), outcome != "open"
    by_bot = assignee in account.bots
    person = metrics["assignee_stations"] > 1 if by_bot else bool(assignee or metrics["replies"])
    automated = not metrics["replies"] and done and chosen(account.automated, item)
    if automated:
        person = False  # it had been given to somebody, who had nothing to do
    machine = by_bot or automated or answered_first(account, item)
    if person:
        return "assisted" if machine else "human"
    by_rule = outcome == "resolved" and metrics["solved_at"] is not None
    return "automation" if by_rule or (machine and done) else None


def human_seconds(account: Account, item: Json, handler: HandledBy | None) -> float | None:
    """The time that agents spent; unknown where none is recorded, but for what no person has touched."""
    spent = item["custom"].get(account.time_field)
    seconds = value("human_seconds", float, spent, account.time_field) if spent else None
    return seconds or (0.0 if handler == "automation" else None)


def on_hold(metrics: Json, clock: str) -> float | None:
    """The time in the statuses pending and on-hold."""
    waits = [metrics[f"{name}_time_in_minutes"][clock] for name in ("agent_wait", "on_hold")]
    return 60.0 * sum(each for each in waits if each) if waits != [None, None] else None


def breached(account: Account, item: Json) -> bool | None:
    """Whether a target was missed before the ticket was solved, or by now; None where nobody knows."""
    if item["breaches"] is None:
        return None
    until = account.at if STATUSES[item["status"]] == "open" else solved(item["metric_set"])
    return None if until is None else any(at <= until for each in item["breaches"] if (at := instant(each)))


def kind_of(item: Json) -> RequestKind:
    live = item.get("from_messaging_channel") or item["via"]["channel"] in CONVERSATIONS
    return "conversation" if live else "ticket"


def chosen(which: Sequence[Which], item: Json) -> bool:
    return any(each.holds(item) for each in which)


def score(rating: Json) -> float | None:
    return SCORES[rating["score"]] if rating else None


def moment(seconds: Json) -> datetime | None:
    """A time in seconds since the beginning of 1970."""
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None


def text(key: Json) -> str | None:
    return str(key) if key else None
