{{- /* Made by `npm run generate` from src/install, which is to be changed instead. */ -}}
{{- define "ambient.controller.chosen" -}}
source: kubernetes
trustDomain: {{ .Values.trustDomain | quote }}
clusterId: {{ .Values.clusterId | quote }}
clusterDomain: {{ .Values.clusterDomain | quote }}
systemNamespace: {{ .Release.Namespace | quote }}
caDir: /run/ambient/ca
caSecret: ambient-ca
serverNames:
  - {{ printf "ambient-controller.%s.svc" .Release.Namespace | quote }}
  - {{ printf "ambient-controller.%s.svc.%s" .Release.Namespace .Values.clusterDomain | quote }}
  - localhost
  - 127.0.0.1
  - ::1
waypoints:
  image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
  pullPolicy: {{ .Values.image.pullPolicy | quote }}
  {{- if .Values.image.pullSecrets }}
  pullSecrets: {{ toJson .Values.image.pullSecrets }}
  {{- end }}
  resources:
    cpu: {{ .Values.waypoint.resources.cpu | quote }}
    memory: {{ .Values.waypoint.resources.memory | quote }}
    memoryLimit: {{ .Values.waypoint.resources.memoryLimit | quote }}
  {{- if .Values.waypoint.config }}
  config: {{ toJson .Values.waypoint.config }}
  {{- end }}
auth:
  audiences:
    - ambient-controller
  nodeAccounts:
    - {{ printf "%s/ambient-node" .Release.Namespace | quote }}
webhook:
  configuration: {{ if .Values.webhook.enabled }}ambient-controller{{ else }}""{{ end }}
replicas:
  account: {{ printf "%s/ambient-controller" .Release.Namespace | quote }}
  tokenFile: /var/run/secrets/tokens/ambient-token
page:
  enabled: {{ .Values.page.enabled }}
  {{- if and .Values.page.enabled (eq .Values.page.listen "everywhere") }}
  host: 0.0.0.0
  {{- end }}
  {{- if and .Values.page.enabled (eq .Values.page.listen "everywhere") .Values.page.names }}
  names: {{ toJson .Values.page.names }}
  {{- end }}
  {{- if and .Values.page.enabled (eq .Values.page.listen "everywhere") }}
  passwordFile: /run/ambient-page/auth/password
  tokenFile: /run/ambient-page/auth/token
  tls: {{ if eq .Values.page.certificate "secret" }}files{{ else }}own{{ end }}
  {{- end }}
  {{- if and .Values.page.enabled (eq .Values.page.listen "everywhere") (eq .Values.page.certificate "secret") }}
  certificateFile: /run/ambient-page/tls/tls.crt
  keyFile: /run/ambient-page/tls/tls.key
  {{- end }}
{{- end }}

{{- define "ambient.controller.config" -}}
{{- $config := deepCopy .Values.controller.config -}}
{{- include "ambient.fill" (list $config (include "ambient.controller.chosen" . | fromYaml)) -}}
{{- toPrettyJson $config }}
{{- end }}

{{- define "ambient.controller.digest" -}}
{{- $config := include "ambient.controller.config" . | fromJson -}}
{{- printf "%s\n" ($config | toPrettyJson) | sha256sum | trunc 16 }}
{{- end }}

{{- define "ambient.node.chosen" -}}
trustDomain: {{ .Values.trustDomain | quote }}
clusterId: {{ .Values.clusterId | quote }}
clusterDomain: {{ .Values.clusterDomain | quote }}
systemNamespace: {{ .Release.Namespace | quote }}
controllerUrl: {{ printf "https://ambient-controller.%s.svc:15012" .Release.Namespace | quote }}
controllerRootsFile: /var/run/secrets/ambient/ca.crt
tokenFile: /var/run/secrets/tokens/ambient-token
stateDir: /run/ambient/node
threads: 2
{{- if eq .Values.node.captureBackend "pod" }}
capture:
  backend: pod
  namespaces: /run/netns
{{- end }}
{{- end }}

{{- define "ambient.node.config" -}}
{{- $config := deepCopy .Values.node.config -}}
{{- include "ambient.fill" (list $config (include "ambient.node.chosen" . | fromYaml)) -}}
{{- toPrettyJson $config }}
{{- end }}

{{- define "ambient.node.digest" -}}
{{- $config := include "ambient.node.config" . | fromJson -}}
{{- printf "%s\n" (omit $config "limits" "timeouts" "log" | toPrettyJson) | sha256sum | trunc 16 }}
{{- end }}
