-- When whoever asked came back after a request, and when to a person: at the earliest, however late that was.
-- They are instants and not states, so they are right at any time. Kept beside a request, whose row has them as columns; a change
-- of a request touches all requests of its requester.
-- by: requester
-- columns: again_at, again_human_at, early_again_at, early_again_human_at
create or replace temp macro request_kept() as table
with ends as (
  -- Where a platform gives both ends, its own word for the outcome decides which one counts.
  select source, id, requester, category, handled_by, opened_at,
    case when outcome = 'abandoned' then coalesce(abandoned_at, resolved_at) else coalesce(resolved_at, abandoned_at) end as last_at,
    nullif(least(resolved_at, abandoned_at), last_at) as early_at
  from request
  -- What was discarded is nobody's coming back.
  where outcome is distinct from 'discarded' and requester is not null
),
-- Whoever came back is looked for from each end on, among the requests of a person in the order of their openings.
asked as (
  select source, id, requester, category, handled_by = 'automation' as automated, opened_at, false as early,
    opened_at <= last_at as asks, opened_at as any_at, case when handled_by = 'human' then opened_at end as human_at,
    epoch_us(opened_at) as place_us, coalesce(greatest(epoch_us(last_at) - place_us, 0), 0) as wait_us
  from ends where opened_at is not null
  union all by name
  -- An end before the last one, and one whose opening is unknown or said to be later, has a row that nobody's coming back is.
  select source, id, requester, category, handled_by = 'automation' as automated, opened_at, coalesce(end_at = early_at, false) as early,
    true as asks, epoch_us(end_at) as place_us, 0 as wait_us
  from (select *, unnest([early_at, case when coalesce(opened_at > last_at, true) then last_at end]) as end_at from ends)
  where end_at is not null
),
framed as (
  select *,
    -- "Same category when both have one": what has a category finds, of those without, only these; what has none finds any.
    case when category is null then any_at end as vague_at, case when category is null then human_at end as vague_human_at
  from asked
),
-- The next of the same category; the second where the first is the request itself, which opened in the second in which it ended.
again as (
  select source, id, early, first_value(any_at ignore nulls) over later as first_at,
    case when first_at = opened_at then nth_value(any_at, 2 ignore nulls) over later else first_at end as next_at,
    case when automated then first_value(human_at ignore nulls) over later end as next_human_at
  from framed where category is not null
  window later as (partition by requester, category order by place_us range between wait_us following and unbounded following)
  qualify asks and first_at is not null
),
-- The next across categories, of those whose requester leaves them out now and then.
again_vaguely as (
  select source, id, early, case when category is null then first_value(any_at ignore nulls) over later
      else first_value(vague_at ignore nulls) over later end as first_at,
    case when category is null and first_at = opened_at then nth_value(any_at, 2 ignore nulls) over later else first_at end as next_at,
    case when automated is distinct from true then null when category is null then first_value(human_at ignore nulls) over later
      else first_value(vague_human_at ignore nulls) over later end as next_human_at
  from framed where requester in (select requester from framed where category is null)
  window later as (partition by requester order by place_us range between wait_us following and unbounded following)
  qualify asks and first_at is not null
)
select source, id, min(case when not early then next_at end) as again_at, min(case when not early then next_human_at end) as again_human_at,
  min(case when early then next_at end) as early_again_at, min(case when early then next_human_at end) as early_again_human_at
from (from again union all from again_vaguely) group by source, id;
