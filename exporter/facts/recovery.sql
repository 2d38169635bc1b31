-- A success of a workflow that ended a row of failed or abandoned logical runs. Placed by ended_at, as it stood at `to_at`.
create or replace temp macro recovery_facts(since, from_at, to_at) as table
with ends as (
  -- A row of failures may have begun before what windows reach: 30 days more are looked at.
  select *, max(ended_at) filter (where succeeded) over earlier as success_before_at
  from run_facts(since - interval 30 day, to_at, to_at) where ended and workflow is not null
  -- Of what ended at the same instant, the failure is taken to be the earlier.
  window earlier as (partition by source, workflow order by ended_at, succeeded, id rows between unbounded preceding and 1 preceding)
),
rows_of_failures as (
  select source, workflow, success_before_at, min(ended_at) as failed_at from ends where not succeeded group by all
)
select source, id, url, to_at as moment, null::timestamp as until,
  team, business_unit, region, cohort, workflow, owner, ended_at,
  epoch(ended_at - failed_at) as recovery_seconds
from ends join rows_of_failures f using (source, workflow)
where succeeded and f.success_before_at is not distinct from ends.success_before_at and failed_at <= ended_at;
