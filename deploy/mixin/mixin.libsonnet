// A monitoring mixin over the rules and dashboards of this repository. In a jsonnet of yours:
//   (import 'deploy/mixin/mixin.libsonnet') + { _config+:: { job: 'outcomes', grafana: 'https://grafana.you.example' } }
{
  _config:: {
    // The label job that your Prometheus gives.
    job: 'outcome-exporter',
    runbook: 'https://runbooks.example.com/outcome-exporter/alerts/README.md',
    grafana: 'https://grafana.example.com',
  },

  local config = self._config,
  local linked(text) =
    local runbook = std.strReplace(text, 'https://runbooks.example.com/outcome-exporter/alerts/README.md', config.runbook);
    local grafana = std.strReplace(runbook, 'https://grafana.example.com', config.grafana);
    std.strReplace(grafana, 'job="outcome-exporter"', 'job="%s"' % config.job),
  local groups = std.flattenArrays([
    std.parseYaml(linked(text)).groups
    for text in [
      importstr '../../alerts/comparison.rules.yaml',
      importstr '../../alerts/exporter.rules.yaml',
      importstr '../../alerts/kpi.rules.yaml',
    ]
  ]),
  local having(key) = [
    group { rules: [rule for rule in group.rules if std.objectHas(rule, key)] }
    for group in groups
    if std.length([rule for rule in group.rules if std.objectHas(rule, key)]) > 0
  ],

  prometheusAlerts+:: { groups+: having('alert') },
  prometheusRules+:: { groups+: having('record') },
  local texts = import 'dashboards.libsonnet',
  grafanaDashboards+:: {
    [name]: std.parseJson(linked(texts[name]))
    for name in std.objectFields(texts)
  },
}
