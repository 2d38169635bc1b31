-- A dependency, and how many enabled workflows have it; of whatever source and team. Inventories have no history.
-- rows: constant
-- from: inventory, dependency_kind
create or replace temp macro shared_dependency_facts(since, from_at, to_at) as table
select dependency as id, null::varchar as source, null::varchar as url, to_at as moment, null::timestamp as until,
  dependency_kind(dependency) as kind, count(*) as workflows
from (select unnest(dependencies) as dependency from inventory() where enabled)
group by dependency;
