{{- define "tensorgate.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "tensorgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "tensorgate.labels" -}}
{{ include "tensorgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tensorgate.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (ternary "-gpu" "" .Values.gpu.enabled)) }}
{{- end }}

{{- /* Where /models comes from: exactly one source. */ -}}
{{- define "tensorgate.models" -}}
{{- $models := .Values.models }}
{{- if and $models.volume $models.initContainers }}
{{- fail "models.volume and models.initContainers are both set: /models comes from one of them" }}
{{- else if $models.volume }}
{{- toYaml $models.volume }}
{{- else if $models.initContainers -}}
emptyDir: {}
{{- else if $models.claim.existing -}}
persistentVolumeClaim:
  claimName: {{ $models.claim.existing }}
  readOnly: true
{{- else if $models.claim.create -}}
persistentVolumeClaim:
  claimName: {{ include "tensorgate.name" . }}-models
  readOnly: true
{{- else }}
{{- fail "/models comes from nowhere: set models.claim.create, models.claim.existing, models.volume or models.initContainers" }}
{{- end }}
{{- end }}

{{- define "tensorgate.makesClaim" -}}
{{- with .Values.models }}{{ if not (or .volume .initContainers .claim.existing) }}{{ .claim.create }}{{ end }}{{ end }}
{{- end }}

{{- /* The value of a flag. Numbers are floats to templates, and 1000000 would become 1e+06. */ -}}
{{- define "tensorgate.flag" -}}
{{- $name := index . 0 }}{{ $value := index . 1 }}
{{- if has $name (list "port" "rest_api_port" "model_config_file" "model_config_file_poll_wait_seconds" "cache_dir" "drain_delay_seconds" "drain_seconds" "enable_grpc_healthcheck_service") }}
{{- fail (printf "flags.%s: the chart sets --%s itself; values.yaml says what it is made of" $name $name) }}
{{- end }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ int64 $value }}{{ else }}{{ toString $value }}{{ end }}
{{- end }}
