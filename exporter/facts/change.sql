-- A change as it stood at `moment`, with the first reason known by then to call it failed. Placed by deployed_at.
create or replace temp macro change_facts(since, from_at, to_at) as table
with deployments as (
  select * from change where deployed_at >= since and result in ('succeeded', 'failed', 'rolled_back')
),
incidents as (
  select coalesce(opened_at, detected_at, started_at) as open_at, service, caused_by from incident
),
linked as (
  select caused_by as id, min(open_at) as linked_at from incidents where caused_by is not null group by all
),
-- The last deployment before an incident is the one suspected; a later one in between takes its place.
suspected as (
  select d.source, d.id, min(i.open_at) as suspected_at
  from (from incidents where caused_by is null and service is not null) i
  asof join deployments d on i.service = d.service and i.open_at >= d.deployed_at
  where epoch(i.open_at - d.deployed_at) <= getvariable('failure_window_seconds')
  group by all
),
moments as (
  select d.*, linked_at, suspected_at, [deployed_at, linked_at, suspected_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from deployments d left join linked using (id) left join suspected s using (source, id)
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, service, environment, kind,
  deployed_at,
  deployed_at <= moment as deployed,
  case when result in ('failed', 'rolled_back') then 'own_result'
    when linked_at <= moment then 'explicit_link'
    when suspected_at <= moment then 'same_service' end as method,
  method is not null as failed,
  result = 'rolled_back' as rolled_back,
  epoch(deployed_at - coalesce(first_commit_at, requested_at)) as lead_seconds
from moments;
