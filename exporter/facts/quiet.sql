-- A logical run when it started, with the start before it. Attempts of one logical run are one run. What is queued has not run.
create or replace temp macro quiet_rows(since, from_at, to_at) as table
with starts as (
  select source, workflow, min(started_at) as start_at from run where started_at <= to_at and workflow is not null
  group by source, workflow, coalesce(root_id, id)
)
select *, start_at as moment, null::timestamp as until, lag(start_at) over (partition by source, workflow order by start_at) as before_at
from starts where start_at > since - interval 30 day;

-- A source that has runs, from its first one on.
create or replace temp macro ran_rows(since, from_at, to_at) as table
select source, min(started_at) as moment, null::timestamp as until from run where started_at <= to_at group by source;

-- An enabled workflow with a usual interval between its runs, and how long it has not run, as it stood at `to_at`: that grows all the time.
create or replace temp macro quiet_facts(since, from_at, to_at) as table
with known as (
  -- The inventory may come from a source that knows no runs, such as a file; then the name alone has to do, whoever ran it.
  select *, case when source in (select source from ran_rows(since, to_at, to_at)) then source end as ran_by from workflow where enabled
),
starts as (
  select k.source, k.id, start_at, before_at
  from quiet_rows(since, to_at, to_at) s join known k on k.name = s.workflow and (k.ran_by = s.source or k.ran_by is null)
  where start_at > since - interval 30 day
),
last_starts as (
  select source, id, max(start_at) as last_at from starts group by all
),
usual as (
  -- The 30 days up to its last run: of a workflow that stopped long ago the last 30 days say nothing.
  select source, id, last_at, median(epoch(start_at - before_at)) as usual_interval_seconds
  from starts join last_starts using (source, id)
  where before_at >= last_at - interval 30 day
  group by all having count(*) >= 2
)
select w.source, w.id, w.url, to_at as moment, null::timestamp as until,
  w.team, w.business_unit, w.region, w.cohort, w.name as workflow,
  usual_interval_seconds, epoch(to_at - last_at) as idle_seconds
from known w join usual using (source, id)
where last_at > since;
