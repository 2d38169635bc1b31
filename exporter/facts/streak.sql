-- A workflow as it stood at `to_at`: how many of its logical runs ended without success since its last success, up to then.
create or replace temp macro streak_facts(since, from_at, to_at) as table
with ends as (
  from run_rows(since, to_at, to_at) where ended and ended_at >= since and workflow is not null
),
successes as (
  select source, workflow, max(ended_at) as success_at from ends where succeeded group by all
)
select source, workflow as id, null::varchar as url, to_at as moment, null::timestamp as until,
  last.team, last.business_unit, last.region, last.cohort, last.owner, workflow, failures_in_a_row
from (
  select source, workflow, count(*) filter (where success_at is null or ended_at > success_at) as failures_in_a_row,
    -- All of them of its last run, also where that has none.
    arg_max({'team': team, 'business_unit': business_unit, 'region': region, 'cohort': cohort, 'owner': owner}, (ended_at, id)) as last
  from ends left join successes using (source, workflow)
  group by source, workflow
);
