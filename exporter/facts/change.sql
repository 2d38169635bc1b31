-- A change as it stood at `moment`, with the first reason known by then to call it failed, and whether it was put right.
-- rows: interval
-- placed by: approved_at, deployed_at, recovered_at
-- from: change, incident
-- params: failure_window shared
-- looks back: failed, linked, method, recovered_at, recovery_seconds
create or replace temp macro change_facts(since, from_at, to_at) as table
with changes as (
  select * replace (case when result in ('succeeded', 'failed', 'rolled_back') then deployed_at end as deployed_at,
      all_of(service, services) as services),
    coalesce(result in ('succeeded', 'failed', 'rolled_back'), false) as over,
    deployed_at as told_at
  from change
),
incidents as (
  select source as told_by, id as incident_id, started_at, detected_at, opened_at, resolved_at, all_of(service, services) as services,
    caused_by,
    least(started_at, detected_at, opened_at) as known_at
  from incident where known_at is not null
),
-- An incident names a change by its id, or by what people call it. It names one of its own source; one of another only where no second
-- one is called so.
called as (
  select source, id, id as name, true as by_id from change
  union all select source, id, reference, false from change where reference <> id
),
named as (
  select c.source, c.id, known_at, resolved_at, told_by = c.source as own from incidents join called c on caused_by = name
  qualify rank() over (partition by told_by, incident_id order by own desc, case when own then by_id end desc) = 1
    and (own or count(*) over (partition by told_by, incident_id) = 1)
),
linked as (
  select source, id, min(known_at) as linked_at, max(resolved_at) as resolve_at,
    list((known_at, resolved_at)) as incidents, flatten(list([known_at, resolved_at])) as incident_turns
  from named group by source, id
),
deployments as (
  select *, unnest(services) as of_service from changes where deployed_at >= since
),
-- An incident is placed where it was opened; until then where it was detected, until then where it began.
placed as (
  select of_service, unnest([(opened_at, null), (detected_at, opened_at), (started_at, least(detected_at, opened_at))]) as place,
    place[1] as open_at, place[2] as placed_until
  from (select *, unnest(services) as of_service from incidents where caused_by is null) where of_service is not null
),
-- The last deployment of its service before an incident is the one suspected; a later one in between takes its place. Several at one instant
-- all are, and the last one of each service of an incident of several.
suspected as (
  select d.source, d.id, list((open_at, placed_until)) as suspicions, flatten(list([open_at, placed_until])) as suspicion_turns
  from (from placed where open_at < coalesce(placed_until, 'infinity')) i
  asof join (select distinct of_service, deployed_at from deployments where of_service is not null) last
    on i.of_service = last.of_service and i.open_at >= last.deployed_at
  join deployments d on d.of_service = last.of_service and d.deployed_at = last.deployed_at
  where epoch(i.open_at - last.deployed_at) <= getvariable('failure_window_seconds')
  group by all
),
moments as (
  select c.*, linked_at, suspicions, incidents,
    list_concat([approved_at, deployed_at], incident_turns, suspicion_turns) as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from changes c left join linked using (source, id) left join suspected s using (source, id)
  where greatest(told_at, approved_at, resolve_at) >= since or (over and told_at is null and greatest(requested_at, updated_at) >= since)
),
stood as (
  select * replace (case when approved_at <= moment then approved_at end as approved_at, case when deployed_at <= moment then deployed_at end as deployed_at),
    coalesce(told_at, approved_at, requested_at, updated_at) as known_at,
    coalesce(deployed_at <= moment, false) as deployed,
    coalesce(list_bool_or(list_transform(suspicions, lambda s: s[1] <= moment and coalesce(moment < s[2], true))), false) as suspected,
    list_filter(incidents, lambda i: i[1] <= moment) as known,
    -- Put right when the last incident known to be of it is resolved.
    case when list_bool_and(list_transform(known, lambda i: coalesce(i[2] <= moment, false)))
      then list_max(list_transform(known, lambda i: i[2])) end as recovered_at
  from moments
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, coalesce(service, services[1]) as service, services, environment, kind,
  requested_at, coalesce(first_commit_at, requested_at) as began_at, approved_at, deployed_at, recovered_at,
  deployed,
  -- A change whose result is told without its time was deployed, and in no figure.
  over and (deployed or told_at is null) as told_deployed, case when known_at <= moment then known_at end as known_at,
  case when deployed and result in ('failed', 'rolled_back') then 'own_result'
    when linked_at <= moment then 'explicit_link'
    when suspected then 'same_service' end as method,
  method is not null as failed,
  coalesce(linked_at <= moment, false) or suspected as linked,
  case when deployed or not over then result end as result, first_commit_at, told_at,
  deployed and result = 'rolled_back' as rolled_back,
  unplanned, automated, blocked_seconds,
  epoch(deployed_at - began_at) as lead_seconds,
  epoch(approved_at - requested_at) as approval_seconds,
  epoch(recovered_at - deployed_at) as recovery_seconds
from stood;
