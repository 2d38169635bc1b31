-- A workflow of the inventories: one, however many of them list it. Inventories have no history: it stands now as it was last told.
-- rows: constant
-- from: inventory
create or replace temp macro workflow_facts(since, from_at, to_at) as table
with most_owning as (
  -- The owner with the most enabled workflows, the first by name of several.
  select owner from (select unnest(owners) as owner from inventory() where enabled)
  group by owner order by count(*) desc, owner limit 1
)
select source, id, url, to_at as moment, null::timestamp as until,
  team, business_unit, region, cohort, name as workflow,
  coalesce(enabled, false) as enabled,
  enabled is not null as enabled_told,
  owners_told, dependencies_told,
  len(owners) = 1 as single_owner,
  coalesce(list_contains(owners, (select owner from most_owning)), false) as of_most_owning,
  exportable
from inventory();
