-- An incident as it stood at `moment`.
-- rows: interval
-- placed by: opened_at, detected_at, acknowledged_at, resolved_at
-- from: incident
-- looks back: recurred
create or replace temp macro incident_facts(since, from_at, to_at) as table
with incidents as (
  select * replace (all_of(service, services) as services), least(started_at, detected_at, opened_at) as known_at,
    -- Nothing is counted of it later than this, also where times contradict each other.
    case when resolved_at is not null then greatest(resolved_at, started_at, detected_at, opened_at, acknowledged_at) end as seen_last_at,
    lag(known_at) over (partition by source, recurrence_key order by known_at, id) as before_at
  from incident where recurrence_key is not null or coalesce(seen_last_at, to_at) >= since
),
moments as (
  select *, [started_at, detected_at, opened_at, acknowledged_at, resolved_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from incidents where coalesce(seen_last_at, to_at) >= since
),
stood as (
  -- It is known from the first of its times on: until it is opened by its detection, until then by its start.
  select *, first_come(moment, [opened_at, detected_at, started_at]) as open_at,
    case when started_at <= moment then started_at end as start_at, case when resolved_at <= moment then resolved_at end as end_at
  from moments
)
select source, id, url, moment, least(next_moment(moment, turns), out_of_sight(seen_last_at, since, from_at)) as until,
  team, business_unit, region, cohort, coalesce(service, services[1]) as service, services, tier, category, severity,
  start_at as started_at, open_at as opened_at, coalesce(start_at, open_at) as began_at, users_affected,
  -- When it was opened, where that is known; `opened_at` is the first thing known of it otherwise.
  case when opened_at <= moment then opened_at end as reported_at,
  case when detected_at <= moment then detected_at end as detected_at,
  case when acknowledged_at <= moment then acknowledged_at end as acknowledged_at,
  end_at as resolved_at,
  end_at is not null as resolved,
  open_at is not null and end_at is null as open,
  recurrence_key is not null and coalesce(known_at - before_at <= interval 30 day, false) as recurred,
  coalesce(auto_remediated, false) as auto_remediated, outage,
  recurrence_key is not null as recurrence_told, auto_remediated is not null as auto_remediated_told,
  -- How long it was on hold is known when it is resolved.
  case when end_at is not null and on_hold_seconds >= 0 then on_hold_seconds end as on_hold_seconds,
  case when end_at is not null and on_hold_business_seconds >= 0 then on_hold_business_seconds end as on_hold_business_seconds,
  epoch(end_at - coalesce(start_at, open_at)) as recovery_seconds,
  case when detected_at <= moment then epoch(detected_at - start_at) end as detection_seconds,
  case when acknowledged_at <= moment and opened_at <= moment then epoch(acknowledged_at - opened_at) end as acknowledge_seconds
from stood;
