{{- define "apptier.version" -}}
{{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "apptier.labels" -}}
app.kubernetes.io/version: {{ include "apptier.version" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The image of the chart's context and of what values say about it. */ -}}
{{- define "apptier.image" -}}
{{- $context := index . 0 }}
{{- $image := index . 1 }}
{{- with $context.Values.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ $image.repository }}:{{ $image.tag | default $context.Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}
