{{- /*
Makes the values whole before a template reads them; prints nothing, and may be called any number of times.
What an earlier release called differently gets its present name, and what it did not know gets its default: with
`helm upgrade --reuse-values` the values are those of the earlier chart, its defaults included.
*/ -}}
{{- define "ambient.values" -}}
{{- if and .Values.namespace (ne .Values.namespace .Release.Namespace) -}}
{{- fail (printf "namespace: the values say %s, helm says %s; give helm --namespace %s, or leave namespace out" .Values.namespace .Release.Namespace .Values.namespace) -}}
{{- end -}}
{{- range $name := include "ambient.onceBooleans" . | fromJsonArray -}}
{{- $value := index $.Values $name -}}
{{- if kindIs "bool" $value -}}
{{- $_ := set $.Values $name (dict "enabled" $value) -}}
{{- $note := printf "%s: %t is read as %s.enabled, which is what it is called since 0.2" $name $value $name -}}
{{- /* The default of an earlier chart is nobody's wish. */ -}}
{{- if $value -}}
{{- $_ := set $.Values "olderValues" (append (default list $.Values.olderValues) $note) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "ambient.fill" (list .Values (include "ambient.defaults" . | fromJson)) -}}
{{- end }}

{{- /* Adds to the first mapping what only the second one has; mappings in both are filled likewise. */ -}}
{{- define "ambient.fill" -}}
{{- $into := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if not (hasKey $into $key) -}}
{{- $_ := set $into $key $value -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (index $into $key)) -}}
{{- include "ambient.fill" (list (index $into $key) $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Of helm, on every object; the rest is what `ambientctl install` says too. No selector has any of these. */ -}}
{{- define "ambient.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Of a container; '' leaves one out, and there is no limit of CPU. */ -}}
{{- define "ambient.resources" -}}
{{- $requests := dict -}}
{{- range $name := list "cpu" "memory" -}}
{{- with index $ $name }}{{ $_ := set $requests $name . }}{{ end -}}
{{- end -}}
{{- $resources := dict "requests" $requests -}}
{{- with .memoryLimit }}{{ $_ := set $resources "limits" (dict "memory" .) }}{{ end -}}
{{- toYaml $resources -}}
{{- end }}
