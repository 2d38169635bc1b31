-- The tasks of one person in one tool on one day, by how they were done. A day counts when it is over.
-- rows: interval
-- placed by: day_end_at
-- from: activity
-- looks back: nothing
create or replace temp macro activity_facts(since, from_at, to_at) as table
with days as (
  -- A share is only known where both of its parts are.
  select *, day + interval 1 day as day_end_at, least(tasks_with_help, tasks_done) as helped, unnest([
    {'way': 'unaided', 'tasks': case when tasks_with_help is not null then tasks_done - helped end},
    {'way': 'helped', 'tasks': case when tasks_done is not null and tasks_with_help is not null then helped end},
    {'way': 'tool', 'tasks': case when legacy_tasks is not null then tasks_done end},
    {'way': 'legacy', 'tasks': case when tasks_done is not null then legacy_tasks end}
  ]) as part
  from activity where day + interval 1 day >= since
),
moments as (
  select *, [day_end_at] as turns, unnest(moments(from_at, to_at, turns)) as moment from days
)
select source, id || ':' || part.way as id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, tool, day_end_at,
  day_end_at <= moment as over,
  part.way as way,
  part.tasks as tasks
from moments;
