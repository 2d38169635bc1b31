-- What has been paid once for automation up to `to_at`, however long ago.
-- rows: instant
-- from: cost, cost_settings
-- money: amount
create or replace temp macro investment_facts(since, from_at, to_at) as table
with once as (
  select source, id, url, team, business_unit, region, cohort, workflow, service, kind, currency, amount,
    period_end as paid_at
  from cost where period_end = period_start
  union all by name
  select 'config' as source, cost as id, team, workflow, service, kind, currency, amount, begins_at as paid_at
  from cost_settings where per = 'once'
)
select source, id, url, to_at as moment, null::timestamp as until, team, business_unit, region, cohort, workflow, service,
  kind, currency, amount, paid_at
from once
-- Labour of no workflow is that of people who answer requests.
where paid_at <= to_at and not (workflow is null and coalesce(kind, '') = 'labour');
