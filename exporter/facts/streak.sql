-- A workflow as it stood at `to_at`: how many of its logical runs ended without success since its last success, up to then.
-- It is one workflow in whatever sources it runs, and its row of failures may have begun long before what windows reach.
-- rows: instant
-- from: run_rows
create or replace temp macro streak_facts(since, from_at, to_at) as table
with ends as (
  from run_rows(timestamp '0001-01-01', to_at, to_at) where ended and workflow is not null
),
successes as (
  select workflow, max(ended_at) as success_at from ends where succeeded group by all
)
select last.source, workflow as id, null::varchar as url, to_at as moment, null::timestamp as until,
  last.team, last.business_unit, last.region, last.cohort, last.owner, workflow, failures_in_a_row
from (
  -- Of what ended at the same instant, the failure is the later: nobody is told that all is well by a tie.
  select workflow, max(ended_at) as last_at, count(*) filter (where not succeeded and (success_at is null or ended_at >= success_at)) as failures_in_a_row,
    -- All of them of its last run, also where that has none.
    arg_max({'source': source, 'team': team, 'business_unit': business_unit, 'region': region, 'cohort': cohort, 'owner': owner},
      (ended_at, not succeeded, source, id)) as last
  from ends left join successes using (workflow)
  group by workflow
)
where last_at >= since;
