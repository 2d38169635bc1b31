-- A service that is measured, from its first reading on.
-- rows: interval
-- from: service_level
create or replace temp macro measured_rows(since, from_at, to_at) as table
select service, min(measured_at) as moment, null::timestamp as until
from service_level where measured_at <= to_at and ratio is not null and service is not null
group by service;

-- A reading of how available a service was.
-- Where nothing measures a service, what its downtime left of each span of time is a reading.
-- rows: instant
-- placed by: measured_at
-- from: service_level, incident, service_settings, measured_rows, downtime_facts, spans
create or replace temp macro service_level_facts(since, from_at, to_at) as table
with readings as (
  from service_level where measured_at > since and measured_at <= to_at and ratio is not null
),
incidents as (
  select * exclude (service), unnest(all_of(service, services)) as service,
    first_come(to_at, [opened_at, detected_at, started_at]) as known_at
  from incident where known_at is not null
),
-- A service is known by an incident, or by its configuration where there are incidents at all; its tier is the one last told.
known as (
  select service, tier, known_at, outage is not null as told from incidents where service is not null
  union all select service, null, since, null from service_settings where exists (from incidents)
),
unmeasured as (
  select service, arg_max(tier, (known_at, tier)) as tier, coalesce(bool_or(told), true) as outage_told
  -- One that is measured has its readings and nothing else, also where the last of them is long ago.
  from known anti join measured_rows(since, from_at, to_at) using (service) group by service
),
down as (
  select service, span_end, sum(down_seconds) as down_seconds from downtime_facts(since, from_at, to_at) group by all
)
select source, id, url, measured_at as moment, null::timestamp as until,
  team, business_unit, region, cohort, service, tier, measured_at,
  ratio as available,
  -- Readings that do not say over how long count alike.
  coalesce(nullif(interval_seconds, 0), 1) as seconds,
  true as outage_told
from readings
union all
select null, service, null, span_end, null, null, null, null, null, service, tier, span_end,
  1 - coalesce(down_seconds, 0) / epoch(span_end - span_begin),
  epoch(span_end - span_begin),
  outage_told
from (from unmeasured cross join spans) left join down using (service, span_end);
