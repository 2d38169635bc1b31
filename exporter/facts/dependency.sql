-- An enabled workflow and a kind of dependency: how many of that kind it has, 0 included. Inventories have no history.
create or replace temp macro dependency_kind(dependency) as
  -- A dependency is written kind:name.
  coalesce(nullif(regexp_extract(dependency, '^(system|credential|api|person|plugin):', 1), ''), 'other');

-- rows: constant
-- from: inventory
create or replace temp macro dependency_facts(since, from_at, to_at) as table
with enabled as (
  select *, list_transform(dependencies, lambda d: dependency_kind(d)) as kinds from inventory() where enabled and dependencies_told
)
select source, id, url, to_at as moment, null::timestamp as until,
  team, business_unit, region, cohort, name as workflow, kind,
  len(list_filter(kinds, lambda k: k = kind)) as dependencies
from enabled, (
  select unnest(['system', 'credential', 'api', 'person', 'plugin']) as kind union select unnest(kinds) from enabled
);
