-- How many people a team has at `to_at`: as configured, else those with an account.
-- rows: instant
-- from: account, team_settings
create or replace temp macro head_count_facts(since, from_at, to_at) as table
with configured as (
  select team, people from team_settings where people is not null
),
counted as (
  -- Somebody with two accounts is one person; an account that names nobody is somebody, one that is shared is nobody.
  select team, count(distinct coalesce('=' || person, source || '/' || id)) as people
  from account
  where team is not null and coalesce(granted_at <= to_at, true) and not coalesce(disabled, false) and not coalesce(shared, false)
    and team not in (select team from configured)
  group by team
)
select null::varchar as source, team as id, null::varchar as url, to_at as moment, null::timestamp as until, team, people
from (from configured union all from counted);
