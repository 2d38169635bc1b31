{{- define "outcome-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "outcome-exporter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "outcome-exporter.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "outcome-exporter.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "outcome-exporter.selector" -}}
app.kubernetes.io/name: {{ include "outcome-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "outcome-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "outcome-exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "outcome-exporter.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "outcome-exporter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "outcome-exporter.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The config as text. Numbers of values.yaml are floats in Helm: toYaml writes large ones as 1e+06, which the exporter reads as well. */}}
{{- define "outcome-exporter.config" -}}
{{- if and (not .Values.config.sources) (not .Values.configExistingSecretName) -}}
{{- fail "config.sources is empty: list at least one source, or name a Secret in configExistingSecretName" -}}
{{- end -}}
{{- toYaml .Values.config -}}
{{- end -}}

{{/* A shipped rule file or dashboard, with the links of the values. */}}
{{- define "outcome-exporter.linked" -}}
{{- .text
  | replace "https://runbooks.example.com/outcome-exporter/alerts/README.md" .root.Values.links.runbook
  | replace "https://grafana.example.com" (.root.Values.links.grafana | trimSuffix "/")
  | replace "job=\"outcome-exporter\"" (printf "job=%q" .root.Values.jobName) -}}
{{- end -}}
