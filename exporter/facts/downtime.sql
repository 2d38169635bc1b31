-- The outages of a service as known at `to_at`, overlapping ones merged, cut where spans meet.
-- A merged outage is counted under the incident that began it.
-- rows: instant
-- placed by: span_end
-- from: incident, service_settings, spans
-- money: cost
create or replace temp macro downtime_facts(since, from_at, to_at) as table
with outages as (
  select *, first_come(to_at, [started_at, opened_at, detected_at]) as begin_at, least(resolved_at, to_at) as end_at,
    -- Two unknown services need not be one service: their outages stay apart.
    coalesce('=' || service, source || '/' || id) as place
  -- An outage of several services is one of each.
  from (select * exclude (service), unnest(all_of(service, services)) as service from incident)
  -- One that ended before `since` may have begun an outage that did not.
  where outage and begin_at is not null
),
numbered as (
  select *, coalesce(begin_at > max(end_at) over (
    partition by place order by begin_at, source, id rows between unbounded preceding and 1 preceding
  ), true) as apart
  from outages where begin_at < end_at
),
grouped as (
  select *, count(*) filter (where apart) over (partition by place order by begin_at, source, id) as nth from numbered
),
merged as (
  select * replace (max(end_at) over (partition by place, nth) as end_at) from grouped qualify apart
)
select source, id, url, span_end as moment, null::timestamp as until,
  team, business_unit, region, cohort, service, tier, currency, span_end,
  epoch(least(end_at, span_end) - greatest(begin_at, span_begin)) as down_seconds,
  down_seconds / epoch(interval 1 hour) * downtime_cost_per_hour as cost
from merged join spans on begin_at < span_end and end_at > span_begin
left join service_settings using (service);
