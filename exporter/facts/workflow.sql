-- A workflow of the inventory. Inventories have no history: it stands now as it was last told.
create or replace temp macro workflow_facts(since, from_at, to_at) as table
with owned as (
  select *, bool_or(len(owners) > 0) over (partition by source) as owners_told,
    bool_or(len(dependencies) > 0) over (partition by source) as dependencies_told
  from workflow
),
-- The owner with the most enabled workflows, the first by name of several.
most_owning as (
  select owner from (select unnest(list_distinct(owners)) as owner from owned where enabled)
  group by owner order by count(*) desc, owner limit 1
)
select source, id, url, to_at as moment, null::timestamp as until,
  team, business_unit, region, cohort, name as workflow,
  coalesce(enabled, false) as enabled,
  enabled is not null as enabled_told,
  -- A source that names no owner at all does not know them.
  owners_told, dependencies_told,
  len(list_distinct(owners)) = 1 as single_owner,
  coalesce(list_contains(owners, (select owner from most_owning)), false) as of_most_owning,
  exportable
from owned;
