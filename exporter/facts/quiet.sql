-- A logical run when it started, with the start before it. Attempts of one logical run are one run. What is queued has not run.
-- rows: interval
-- from: run
create or replace temp macro quiet_rows(since, from_at, to_at) as table
with starts as (
  select workflow, min(started_at) as start_at from run where started_at <= to_at and workflow is not null
  group by source, workflow, coalesce(root_id, id)
)
-- A workflow is one, in whatever sources it runs.
select *, start_at as moment, null::timestamp as until, lag(start_at) over (partition by workflow order by start_at) as before_at
from starts where start_at > since - interval 30 day;

-- An enabled workflow with a usual interval between its runs, and how long it has not run, as it stood at `to_at`: that grows all the time.
-- rows: instant
-- from: quiet_rows, inventory
create or replace temp macro quiet_facts(since, from_at, to_at) as table
with starts as (
  select * from quiet_rows(since, to_at, to_at) where start_at > since - interval 30 day
),
last_starts as (
  select workflow, max(start_at) as last_at from starts group by all
),
usual as (
  -- The 30 days up to its last run: of a workflow that stopped long ago the last 30 days say nothing.
  select workflow, last_at, median(epoch(start_at - before_at)) as usual_interval_seconds
  from starts join last_starts using (workflow)
  where before_at >= last_at - interval 30 day
  group by all having count(*) >= 2
)
select w.source, w.id, w.url, to_at as moment, null::timestamp as until,
  w.team, w.business_unit, w.region, w.cohort, w.name as workflow,
  usual_interval_seconds, epoch(to_at - last_at) as idle_seconds
from (from inventory() where enabled) w join usual on w.name = usual.workflow
where last_at > since;
