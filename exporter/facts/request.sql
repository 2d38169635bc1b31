-- The request with which somebody came back so long after the end of another: its id, and where to open it.
create or replace temp macro came_back(of_source, of_id, after_seconds, by_human) as (
  select min([later.id, later.url]) from request this join request later on later.requester = this.requester
  where this.source = of_source and this.id = of_id and (later.source, later.id) <> (of_source, of_id)
    and coalesce(later.category = this.category, true) and later.outcome is distinct from 'discarded'
    and (later.handled_by = 'human' or not by_human)
    and after_seconds in (epoch(later.opened_at - this.resolved_at), epoch(later.opened_at - this.abandoned_at))
);

-- A request as it stood at `moment`.
-- rows: interval
-- placed by: opened_at, first_response_at, resolved_at, ended_at
-- from: kept_request, source_settings
-- params: recontact_window longest in again_seconds, again_human_seconds
-- changes: open_seconds = case when open then epoch(to_at - opened_at) end
-- money: claim_price
-- looks back: nothing
-- looks up: again_id beside again_seconds = came_back(shown.source, shown.id, again_seconds, false)[1]
-- looks up: again_url beside again_seconds = came_back(shown.source, shown.id, again_seconds, false)[2]
-- looks up: again_id beside again_human_seconds = came_back(shown.source, shown.id, again_human_seconds, true)[1]
-- looks up: again_url beside again_human_seconds = came_back(shown.source, shown.id, again_human_seconds, true)[2]
create or replace temp macro request_facts(since, from_at, to_at) as table
with ends as (
  -- Where a platform gives both ends, its own word for the outcome decides which one counts.
  select *, case when outcome = 'abandoned' then coalesce(abandoned_at, resolved_at) else coalesce(resolved_at, abandoned_at) end as last_at,
    nullif(least(resolved_at, abandoned_at), last_at) as early_at,
    -- Nothing is counted of it later than this, also where times contradict each other.
    case when coalesce(last_at, closed_at) is not null then greatest(coalesce(last_at, closed_at), opened_at, first_response_at) end as seen_last_at,
    requester is not null as requester_told,
    to_microseconds(coalesce(getvariable('recontact_window_seconds') * 1000000, 0)::bigint) as patience
  from kept_request
  -- What was discarded is nowhere: not opened, not ended, nobody's coming back.
  where outcome is distinct from 'discarded' and coalesce(seen_last_at, to_at) >= since
),
-- When somebody came back, whoever and a person, after each of its ends: instants that exporter/kept/request.sql works out.
followed as (
  select * replace (
    case when requester_told and again_at <= last_at + patience then again_at end as again_at,
    case when requester_told and again_human_at <= last_at + patience then again_human_at end as again_human_at,
    case when requester_told and early_again_at <= early_at + patience then early_again_at end as early_again_at,
    case when requester_told and early_again_human_at <= early_at + patience then early_again_human_at end as early_again_human_at)
  from ends
),
moments as (
  select *, [opened_at, first_response_at, resolved_at, abandoned_at, closed_at, escalated_at,
      again_at, again_human_at, early_again_at, early_again_human_at] as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from followed
),
stood as (
  -- Of two ends the one that has come by then counts, and who came back to that one.
  select * replace (
      case when resolved_at <= moment and not coalesce(outcome = 'abandoned' and last_at <= moment, false) then resolved_at end as resolved_at,
      case when last_at <= moment then again_at else early_again_at end as again_at,
      case when last_at <= moment then again_human_at else early_again_human_at end as again_human_at),
    case when last_at <= moment then last_at when early_at <= moment then early_at end as ended_at
  from moments
)
select source, id, url, moment, least(next_moment(moment, turns), out_of_sight(seen_last_at, since, from_at)) as until,
  team, business_unit, region, cohort, kind, channel, category, request_type, priority, handled_by, self_service, legacy_path,
  human_seconds, csat, effort, sentiment, sla_breached,
  -- What its platform says, or bills, about automation having resolved it, and what such a statement costs.
  claimed_resolved, source as vendor, claimed_resolution_price as claim_price, currency,
  -- How long a request was on hold is known when it has ended; how long until any other instant nobody tells.
  case when ended_at is not null and on_hold_seconds >= 0 then on_hold_seconds end as on_hold_seconds,
  case when ended_at is not null and on_hold_business_seconds >= 0 then on_hold_business_seconds end as on_hold_business_seconds,
  requester_told, reopen_count is not null as reopen_told,
  -- A source that cannot say so has no escalations, and that is not known to be none.
  escalated_at is not null or coalesce(escalations_reported, escalation_known, true) as escalation_told,
  coalesce(outcome in ('resolved', 'abandoned'), false) and coalesce(last_at <= moment, true) as told_ended,
  opened_at, case when first_response_at <= moment then first_response_at end as first_response_at,
  ended_at, resolved_at,
  opened_at <= moment as opened,
  ended_at is not null as ended,
  resolved_at is not null as resolved,
  ended and not resolved as abandoned,
  opened_at <= moment and not ended and not coalesce(closed_at <= moment, false) as open,
  case when open then epoch(moment - opened_at) end as open_seconds,
  coalesce(escalated_at <= moment, false) as escalated,
  coalesce(reopen_count, 0) > 0 as reopened,
  case when again_at <= moment then epoch(again_at - ended_at) end as again_seconds,
  -- Of requests that automation handled.
  case when again_human_at <= moment then epoch(again_human_at - ended_at) end as again_human_seconds,
  case when first_response_at <= moment then epoch(first_response_at - opened_at) end as first_response_seconds,
  epoch(resolved_at - opened_at) as resolution_seconds
from stood left join source_settings using (source);
