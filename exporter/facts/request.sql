-- A request as it stood at `moment`. Placed by opened_at, first_response_at, resolved_at or ended_at.
create or replace temp macro request_facts(since, from_at, to_at) as table
with ends as (
  -- Where a platform gives both ends, its own word for the outcome decides which one counts.
  select *, case when outcome = 'abandoned' then coalesce(abandoned_at, resolved_at) else coalesce(resolved_at, abandoned_at) end as end_at,
    case when outcome = 'abandoned' then null else resolved_at end as resolve_at
  from request
  where outcome is distinct from 'discarded' and coalesce(resolved_at, abandoned_at, closed_at, to_at) >= since
),
-- Who asked more than once, and whether one of these requests has no category ("same category when both have one").
askers as (
  select requester, bool_or(category is null) as vague from ends where requester is not null group by requester having count(*) > 1
),
asked as (
  select source, id, requester, category, opened_at, handled_by, vague,
    -- "Opened later": a request that ended as it opened must not find itself.
    case when end_at is not null then greatest(end_at, opened_at + interval 1 microsecond) end as end_at
  from ends join askers using (requester)
),
-- A request is found under its category or 'none'; where somebody leaves categories out, under 'any' as well.
found_under as (
  select requester, opened_at, handled_by, coalesce('=' || category, 'none') as topic from asked
  union all select requester, opened_at, handled_by, 'any' from asked where vague
),
looks_under as (
  select source, id, requester, end_at, handled_by, coalesce('=' || category, 'any') as topic from asked where end_at is not null
  union all select source, id, requester, end_at, handled_by, 'none' from asked where end_at is not null and category is not null and vague
),
again as (
  select l.source, l.id, min(f.opened_at) as again_at
  from looks_under l asof join found_under f on l.requester = f.requester and l.topic = f.topic and f.opened_at >= l.end_at
  where epoch(f.opened_at - l.end_at) <= getvariable('recontact_window_seconds')
  group by all
),
again_human as (
  select l.source, l.id, min(f.opened_at) as again_human_at
  from (from looks_under where handled_by = 'automation') l
  asof join (from found_under where handled_by = 'human') f
  on l.requester = f.requester and l.topic = f.topic and f.opened_at >= l.end_at
  where epoch(f.opened_at - l.end_at) <= getvariable('recontact_window_seconds')
  group by all
),
moments as (
  select e.*, again_at, again_human_at,
    [opened_at, end_at, resolve_at, closed_at, escalated_at, again_at, again_human_at] as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from ends e left join again using (source, id) left join again_human using (source, id)
)
select source, id, url, moment, least(next_moment(moment, turns), out_of_sight(coalesce(resolved_at, abandoned_at, closed_at), since, from_at)) as until,
  team, business_unit, region, cohort, kind, channel, category, request_type, priority, handled_by, self_service, legacy_path,
  human_seconds, csat, effort, sentiment, sla_breached,
  opened_at, first_response_at,
  case when end_at <= moment then end_at end as ended_at,
  case when resolve_at <= moment then resolve_at end as resolved_at,
  opened_at <= moment as opened,
  coalesce(end_at <= moment, false) as ended,
  coalesce(resolve_at <= moment, false) as resolved,
  ended and not resolved as abandoned,
  opened_at <= moment and not ended and not coalesce(closed_at <= moment, false) as open,
  case when open then epoch(moment - opened_at) end as open_seconds,
  coalesce(escalated_at <= moment, false) as escalated,
  coalesce(reopen_count, 0) > 0 as reopened,
  case when again_at <= moment then epoch(again_at - end_at) end as again_seconds,
  -- Of requests that automation handled.
  case when again_human_at <= moment then epoch(again_human_at - end_at) end as again_human_seconds,
  epoch(first_response_at - opened_at) as first_response_seconds,
  epoch(resolve_at - opened_at) as resolution_seconds
from moments;
