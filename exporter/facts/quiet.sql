-- An enabled workflow with a usual interval between its runs, and how long it has not run, as it stood at `to_at`.
create or replace temp macro quiet_facts(since, from_at, to_at) as table
with starts as (
  -- Attempts of one logical run are one run. What is queued has not run.
  select source, workflow, min(started_at) as start_at from run
  where started_at > since - interval 30 day and started_at <= to_at and workflow is not null
  group by source, workflow, coalesce(root_id, id)
),
recent as (
  -- The 30 days up to its last run: of a workflow that stopped long ago the last 30 days say nothing.
  select *, max(start_at) over (partition by source, workflow) as last_at from starts
  qualify start_at >= last_at - interval 30 day
),
gaps as (
  select *, epoch(start_at - lag(start_at) over (partition by source, workflow order by start_at)) as gap_seconds from recent
),
usual as (
  select source, workflow, any_value(last_at) as last_at, median(gap_seconds) as usual_interval_seconds
  from gaps group by source, workflow having count(gap_seconds) >= 2
)
select w.source, w.id, w.url, to_at as moment, null::timestamp as until,
  w.team, w.business_unit, w.region, w.cohort, w.name as workflow,
  usual_interval_seconds, epoch(to_at - last_at) as idle_seconds
-- The inventory may come from a source that knows no runs, such as a file; then the name alone has to do.
from workflow w join usual on usual.workflow = w.name
  and (usual.source = w.source or w.source not in (select source from starts))
where w.enabled and last_at > since;
