-- A cost, cut where spans meet: the share of the amount that falls into each span of time. Placed by span_end.
create or replace temp macro cost_facts(since, from_at, to_at) as table
select source, id, url, span_end as moment, null::timestamp as until,
  team, business_unit, region, cohort, workflow, service, kind, currency, span_end,
  amount * epoch(least(period_end, span_end) - greatest(period_start, span_begin)) / epoch(period_end - period_start) as spent
from cost join spans on period_start < span_end and period_end > span_begin
where period_end > period_start and amount is not null;
