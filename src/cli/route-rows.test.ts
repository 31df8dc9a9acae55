// The table of `config routes`.
import { test } from 'node:test';
import { compileRouteText, serviceText } from '../http/routes/testing-routes.ts';
import { plain } from './io.ts';
import { routeTable } from './route-rows.ts';
import { assertGolden } from './testing-golden.ts';

const text = `${serviceText('reviews.shop')}${serviceText('ratings.shop', ['80/http', '90/grpc'])}---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: ratings}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings, port: 80}]
  rules:
  - name: admin
    matches: [{method: POST, path: {value: /admin}, headers: [{name: X-Role, value: admin}]}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]
  - backendRefs: [{name: ratings, port: 80, weight: 9}, {name: gone, port: 80, weight: 1}]
    timeouts: {request: 1500ms}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: shop, name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {regex: "/r[0-9]+"}, queryParams: {debug: {}}}, {withoutHeaders: {x: {}}, sourceLabels: {app: web}}]
    route: [{destination: {host: reviews, subset: v2}}]
    retries: {attempts: 0}
    mirror: {host: ratings}
  - directResponse: {status: 404}
`;

test('routes in the order in which they are tried, of each port', () => {
  const routes = compileRouteText(text).compiler.mesh().routes ?? [];
  assertGolden('routes.table.txt', routeTable(routes, { wide: false, paint: plain }));
  assertGolden('routes.wide.txt', routeTable(routes, { wide: true, paint: plain }));
});
