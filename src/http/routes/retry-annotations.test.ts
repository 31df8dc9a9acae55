// What an author says about retries beside their conditions: annotations, on routes of every kind that has retries, and
// what he is told while he says nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRouteText, hitOf, requestOf, serviceText } from './testing-routes.ts';

const named = (annotations: string): string => `{name: route, namespace: default, annotations: {${annotations}}}`;

const kinds = {
  HTTPRoute: (annotations: string) => `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: ${named(annotations)}
spec:
  parentRefs: [{group: "", kind: Service, name: echo}]
  rules: [{retry: {attempts: 2, codes: [500, 503]}, backendRefs: [{name: echo, port: 80}]}]
`,
  VirtualService: (annotations: string) => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: ${named(annotations)}
spec:
  hosts: [echo]
  http: [{retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: echo}}]}]
`,
};

// [annotations, non-idempotent, even if retried]
const rows = [
  ['', false, false],
  ['ambient.mesh/retry-non-idempotent: "true"', true, false],
  ['ambient.mesh/retry-non-idempotent: "false"', false, false],
  ['ambient.mesh/retry-non-idempotent: "yes"', false, false],
  ['ambient.mesh/retry-even-if-retried: "true"', false, true],
] as const;

for (const [kind, textOf] of Object.entries(kinds)) {
  for (const [annotations, nonIdempotent, evenIfRetried] of rows) {
    test(`${kind} with ${annotations || 'no annotation'}`, () => {
      const compiled = compileRouteText(serviceText('echo') + textOf(annotations));
      const { retry } = hitOf(compiled.table('echo'), 80, requestOf('/'))!.rule;
      assert.deepEqual([retry.attempts, retry.nonIdempotent, retry.evenIfRetried], [2, nonIdempotent, evenIfRetried]);
      const told = compiled.issues
        .map((issue) => JSON.stringify(issue))
        .filter((text) => text.includes('retry-non-idempotent'));
      assert.equal(told.length > 0, !nonIdempotent, told.join('; '));
    });
  }
}
