// Made by `outcome-exporter render`; do not edit.
{
  'any-kpi.json': importstr '../../dashboards/any-kpi.json',
  'core-operations.json': importstr '../../dashboards/core-operations.json',
  'executive.json': importstr '../../dashboards/executive.json',
}
