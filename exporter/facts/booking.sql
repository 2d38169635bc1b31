-- A booking as it stood at `moment`.
-- rows: interval
-- placed by: first_response_at, booked_at, starts_at
-- from: booking
-- money: value
-- looks back: attended, attendance_known
create or replace temp macro booking_facts(since, from_at, to_at) as table
with practice as (
  -- Where only absence can be marked, who was not marked has come only if marking is practised: if somebody of the team marked this
  -- meeting, or one in the 90 days before. Otherwise nobody knows.
  select source, id, coalesce(starts_at - max(case when attendance_marked then starts_at end)
      over (partition by source, team order by starts_at) <= interval 90 days, false) as practised
  from booking where attendance_marked is not null or attendance_due_at is not null
),
moments as (
  select *, [first_response_at, booked_at, starts_at, cancelled_at, attendance_due_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from booking left join practice using (source, id) where greatest(first_response_at, booked_at, starts_at) >= since
),
stood as (
  -- What was cancelled after its start was a booking like any other until then.
  select * replace (
      case when first_response_at <= moment then first_response_at end as first_response_at, case when booked_at <= moment then booked_at end as booked_at),
    coalesce(starts_at <= moment, false) as booked, booked and coalesce(cancelled_at <= moment, true) as settled,
    booked and coalesce(attendance_due_at <= moment, true) as attendance_due,
    attendance_due and coalesce(practised, true) as attendance_known
  from moments
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, channel, meeting_type, automated, currency,
  requested_at, first_response_at, booked_at, starts_at,
  booked,
  outcome is not null as outcome_told,
  attendance_due,
  attendance_known,
  attendance_known and coalesce(outcome = 'attended', false) as attended,
  attendance_due and coalesce(outcome = 'no_show', false) as no_show,
  case when attendance_due then attendance_marked end as attendance_marked,
  settled and coalesce(outcome = 'rescheduled', false) as rescheduled,
  settled and coalesce(outcome = 'cancelled', false) as cancelled,
  conflict,
  value,
  epoch(first_response_at - requested_at) as response_seconds,
  epoch(booked_at - requested_at) as booking_seconds
from stood;
