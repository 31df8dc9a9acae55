{{- /* Made by `npm run generate` from src/install, which is to be changed instead. */ -}}
{{- define "ambient.nextSteps" }}
  kubectl -n {{ .Release.Namespace }} rollout status daemonset/ambient-node
  ambientctl check --wait 5m
  ambientctl enroll NAME --wait
{{- end }}
