-- A success of a workflow that ended a row of failed or abandoned logical runs. As it stood at `to_at`.
-- A retry takes a failure back, and with it the beginning of a row that ended long ago; so it is asked at each instant, of the kept rows of runs.
-- rows: instant
-- placed by: ended_at
-- from: run_rows
create or replace temp macro recovery_facts(since, from_at, to_at) as table
with ends as (
  -- A row of failures may have begun long before what windows reach, and in another source.
  select *, lag(succeeded) over in_order as after_success
  from run_rows(timestamp '0001-01-01', to_at, to_at)
  where ended and workflow is not null
  -- Of what ended at the same instant, the failure is the later.
  window in_order as (partition by workflow order by ended_at, succeeded desc, source, id)
),
turning_points as (
  -- Only the first failure of a row of them, and the success that ends it: each success here comes after such a failure.
  select *, lag(ended_at) over (partition by workflow order by ended_at, succeeded desc, source, id) as failed_at
  from ends where succeeded <> coalesce(after_success, true)
)
select source, id, url, to_at as moment, null::timestamp as until,
  team, business_unit, region, cohort, workflow, owner, ended_at,
  epoch(ended_at - failed_at) as recovery_seconds
from turning_points
where succeeded and ended_at >= since;
