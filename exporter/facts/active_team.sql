-- A team as it stood at `to_at`, for each tool in which one of its accounts is or was active. Placed by active_at, its last activity.
create or replace temp macro active_team_facts(since, from_at, to_at) as table
select source, tool || ':' || team as id, null::varchar as url, to_at as moment, null::timestamp as until,
  arg_max(business_unit, active_at) as business_unit, arg_max(region, active_at) as region, arg_max(cohort, active_at) as cohort,
  tool, team, max(active_at) as active_at
from account_facts(since, to_at, to_at)
where enabled and team is not null and active_at is not null
group by source, tool, team;
