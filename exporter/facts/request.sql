-- A request as it stood at `moment`. Placed by opened_at, first_response_at, resolved_at or ended_at.
create or replace temp macro request_facts(since, from_at, to_at) as table
with ends as (
  -- Where a platform gives both ends, its own word for the outcome decides which one counts.
  select *, case when outcome = 'abandoned' then coalesce(abandoned_at, resolved_at) else coalesce(resolved_at, abandoned_at) end as last_at,
    requester is not null as requester_told
  from request
  where outcome is distinct from 'discarded' and coalesce(last_at, closed_at, to_at) >= since
),
asked as (
  select source, id, requester, category, last_at as end_at, handled_by = 'automation' as automated, epoch_us(opened_at) as opened_us,
    opened_at, case when handled_by = 'human' then opened_at end as human_at,
    case when category is null then opened_at end as vague_at, case when category is null then human_at end as vague_human_at,
    -- "Opened later": a request that ended as it opened must not find itself.
    greatest(epoch_us(end_at) - opened_us, 1) as wait_us,
    wait_us + coalesce(getvariable('recontact_window_seconds') * 1000000, 0)::bigint as patience_us
  from ends where requester is not null and opened_at <= to_at
),
-- "Same category when both have one": what has a category finds the next of the same ...
again as (
  select source, id, first_value(opened_at) over later as same_at,
    case when automated then first_value(human_at ignore nulls) over later end as same_human_at
  from asked where category is not null
  window later as (partition by requester, category order by opened_us range between wait_us following and patience_us following)
  qualify end_at <= to_at and same_at is not null
),
-- ... and, where its requester leaves categories out now and then, the next without; what has none finds the next of any.
again_vaguely as (
  select source, id,
    case when category is null then first_value(opened_at) over later else first_value(vague_at ignore nulls) over later end as any_at,
    case when automated is distinct from true then null when category is null then first_value(human_at ignore nulls) over later
      else first_value(vague_human_at ignore nulls) over later end as any_human_at
  from asked where requester in (select requester from asked where category is null)
  window later as (partition by requester order by opened_us range between wait_us following and patience_us following)
  qualify end_at <= to_at and any_at is not null
),
moments as (
  select ends.*, least(same_at, any_at) as again_at, least(same_human_at, any_human_at) as again_human_at,
    [opened_at, first_response_at, resolved_at, abandoned_at, closed_at, escalated_at, again_at, again_human_at] as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from ends left join again using (source, id) left join again_vaguely using (source, id)
),
stood as (
  select * replace (
      case when resolved_at <= moment and not coalesce(outcome = 'abandoned' and last_at <= moment, false) then resolved_at end as resolved_at),
    -- Of two ends the one that has come by then counts.
    case when last_at <= moment then last_at when resolved_at <= moment then resolved_at when abandoned_at <= moment then abandoned_at end as ended_at
  from moments
)
select source, id, url, moment, least(next_moment(moment, turns), out_of_sight(coalesce(last_at, closed_at), since, from_at)) as until,
  team, business_unit, region, cohort, kind, channel, category, request_type, priority, handled_by, self_service, legacy_path,
  human_seconds, csat, effort, sentiment, sla_breached,
  requester_told, reopen_count is not null as reopen_told,
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
  case when again_at <= moment then epoch(again_at - last_at) end as again_seconds,
  -- Of requests that automation handled.
  case when again_human_at <= moment then epoch(again_human_at - last_at) end as again_human_seconds,
  case when first_response_at <= moment then epoch(first_response_at - opened_at) end as first_response_seconds,
  epoch(resolved_at - opened_at) as resolution_seconds
from stood;
