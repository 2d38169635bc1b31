-- A workflow as it stood at `to_at`: how many of its logical runs in a row did not succeed, up to then.
create or replace temp macro streak_facts(since, from_at, to_at) as table
with ends as (
  select *, count(*) filter (where succeeded) over (partition by source, workflow order by ended_at desc, id desc) as successes_since
  from run_facts(since, to_at, to_at) where ended
)
select source, workflow as id, null::varchar as url, to_at as moment, null::timestamp as until,
  arg_max(team, ended_at) as team, arg_max(business_unit, ended_at) as business_unit,
  arg_max(region, ended_at) as region, arg_max(cohort, ended_at) as cohort, arg_max(owner, ended_at) as owner, workflow,
  count(*) filter (where successes_since = 0) as failures_in_a_row
from ends group by source, workflow;
