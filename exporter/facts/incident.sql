-- An incident as it stood at `moment`. Placed by opened_at, detected_at, acknowledged_at or resolved_at.
create or replace temp macro incident_facts(since, from_at, to_at) as table
with incidents as (
  select *, coalesce(opened_at, detected_at, started_at) as open_at,
    lag(open_at) over (partition by source, recurrence_key order by open_at, id) as before_at
  from incident where coalesce(resolved_at, to_at) >= since - interval 30 day
),
moments as (
  select *, [open_at, detected_at, acknowledged_at, resolved_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from incidents where coalesce(resolved_at, to_at) >= since
)
select source, id, url, moment, least(next_moment(moment, turns), out_of_sight(resolved_at, since, from_at)) as until,
  team, business_unit, region, cohort, service, tier, category, severity,
  started_at, open_at as opened_at, coalesce(started_at, open_at) as began_at, users_affected,
  -- What it was when it was reported, where that is known; `opened_at` is the first thing known of it otherwise.
  opened_at as reported_at,
  case when detected_at <= moment then detected_at end as detected_at,
  case when acknowledged_at <= moment then acknowledged_at end as acknowledged_at,
  case when resolved_at <= moment then resolved_at end as resolved_at,
  coalesce(resolved_at <= moment, false) as resolved,
  coalesce(open_at <= moment, false) and not coalesce(resolved_at <= moment, false) as open,
  recurrence_key is not null and coalesce(open_at - before_at <= interval 30 day, false) as recurred,
  coalesce(auto_remediated, false) as auto_remediated, outage,
  recurrence_key is not null as recurrence_told, auto_remediated is not null as auto_remediated_told,
  case when resolved_at <= moment then epoch(resolved_at - coalesce(started_at, open_at)) end as recovery_seconds,
  case when detected_at <= moment then epoch(detected_at - started_at) end as detection_seconds,
  case when acknowledged_at <= moment then epoch(acknowledged_at - opened_at) end as acknowledge_seconds
from moments;
