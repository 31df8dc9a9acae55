{{- /* Made by `npm run generate` from src/install, which is to be changed instead. */ -}}
{{- define "ambient.defaults" -}}
{
  "namespace": "",
  "image": {
    "repository": "ambient",
    "tag": "",
    "pullPolicy": "IfNotPresent",
    "pullSecrets": []
  },
  "trustDomain": "cluster.local",
  "clusterId": "Kubernetes",
  "clusterDomain": "cluster.local",
  "controller": {
    "replicas": 1,
    "resources": {
      "cpu": "100m",
      "memory": "256Mi",
      "memoryLimit": "1Gi"
    },
    "config": {}
  },
  "node": {
    "resources": {
      "cpu": "100m",
      "memory": "128Mi",
      "memoryLimit": "512Mi"
    },
    "captureBackend": "host",
    "config": {}
  },
  "waypoint": {
    "resources": {
      "cpu": "100m",
      "memory": "128Mi",
      "memoryLimit": "512Mi"
    },
    "config": {}
  },
  "webhook": {
    "enabled": true,
    "failurePolicy": "Ignore",
    "timeoutSeconds": 5
  },
  "page": {
    "enabled": true,
    "listen": "loopback",
    "names": [],
    "authSecret": "ambient-page",
    "certificate": "own",
    "tlsSecret": "ambient-page-tls"
  },
  "networkPolicies": {
    "enabled": false
  },
  "podMonitors": {
    "enabled": false,
    "labels": {}
  },
  "dashboards": {
    "enabled": false,
    "labels": {}
  },
  "alerts": {
    "enabled": false,
    "labels": {},
    "runbookUrl": "https://ambient.mesh/docs/runbook"
  },
  "criticalPodsQuota": {
    "enabled": false
  }
}
{{- end }}

{{- define "ambient.onceBooleans" -}}
["networkPolicies","podMonitors"]
{{- end }}
