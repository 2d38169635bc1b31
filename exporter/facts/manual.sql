-- How long a person takes for one run of a workflow, as it stood at `to_at`: measured on the requests of its category that people
-- handled, resolved after `since`; where there are none, as configured. A workflow of which neither is known has no row.
-- rows: instant
-- from: request, workflow_settings
-- money: rate_per_second
create or replace temp macro manual_facts(since, from_at, to_at) as table
with measured as (
  select category, avg(human_seconds) as seconds from request
  where handled_by = 'human' and human_seconds >= 0 and resolved_at > since and resolved_at <= to_at
    and outcome is distinct from 'discarded'
    -- Until its last word was that it was abandoned, it was resolved.
    and (outcome is distinct from 'abandoned' or abandoned_at > to_at)
    and category in (select category from workflow_settings)
  group by all
)
select workflow as id, null::varchar as source, null::varchar as url, to_at as moment, null::timestamp as until, workflow,
  case when seconds is null then 'configured' else 'measured' end as basis,
  -- A configured range is counted by its lower end; the upper one stands beside it.
  coalesce(seconds, manual_seconds_low) as manual_seconds,
  coalesce(seconds, manual_seconds_high) as manual_seconds_high,
  rate / 3600 as rate_per_second, currency, claim
from workflow_settings left join measured using (category)
where manual_seconds is not null;
