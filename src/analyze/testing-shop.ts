// Manifests that tests of analyzers start from.

/** What all cases have: an enrolled namespace with a service and its pods, behind a waypoint. */
export const shop = `
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {ambient.mesh/dataplane-mode: ambient}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {serviceAccountName: cart, containers: [{name: c, image: i, ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: ambient-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {ambient.mesh/use-waypoint: waypoint}}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: bare, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http-bare, port: 80, targetPort: web}]}
---
`;
