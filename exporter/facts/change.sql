-- A change as it stood at `moment`, with the first reason known by then to call it failed, and whether it was put right.
-- Placed by approved_at, deployed_at or recovered_at.
create or replace temp macro change_facts(since, from_at, to_at) as table
with changes as (
  select * replace (case when result in ('succeeded', 'failed', 'rolled_back') then deployed_at end as deployed_at),
    deployed_at as told_at
  from change
),
incidents as (
  select coalesce(opened_at, detected_at, started_at) as open_at, resolved_at, service, caused_by from incident
),
linked as (
  select caused_by as id, min(open_at) as linked_at, max(resolved_at) as resolve_at,
    list((open_at, resolved_at)) as incidents, flatten(list([open_at, resolved_at])) as incident_turns
  from incidents where caused_by is not null and open_at is not null group by all
),
deployments as (
  from changes where deployed_at >= since
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
  select c.*, linked_at, suspected_at, incidents,
    list_concat([approved_at, deployed_at, suspected_at], incident_turns) as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from changes c left join linked using (id) left join suspected s using (source, id)
  where greatest(told_at, approved_at, resolve_at) >= since
),
stood as (
  select *, list_filter(incidents, lambda i: i[1] <= moment) as known,
    -- Put right when the last incident known to be of it is resolved.
    case when list_bool_and(list_transform(known, lambda i: coalesce(i[2] <= moment, false)))
      then list_max(list_transform(known, lambda i: i[2])) end as recovered_at
  from moments
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, service, environment, kind,
  requested_at, coalesce(first_commit_at, requested_at) as began_at, approved_at, deployed_at, recovered_at,
  coalesce(deployed_at <= moment, false) as deployed,
  case when result in ('failed', 'rolled_back') then 'own_result'
    when linked_at <= moment then 'explicit_link'
    when suspected_at <= moment then 'same_service' end as method,
  method is not null as failed,
  coalesce(linked_at <= moment, false) or coalesce(suspected_at <= moment, false) as linked,
  result, first_commit_at, told_at,
  result = 'rolled_back' as rolled_back,
  unplanned, automated, blocked_seconds,
  epoch(deployed_at - began_at) as lead_seconds,
  epoch(approved_at - requested_at) as approval_seconds,
  epoch(recovered_at - deployed_at) as recovery_seconds
from stood;
