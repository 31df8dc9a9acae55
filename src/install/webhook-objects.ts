// The validating webhook as a cluster knows it: which objects its API server asks the controller about, and what comes
// of it when there is no answer. Who verifies the controller by what is filled in by the controller itself.
import { admittedKinds } from '../kube/api/kinds.ts';
import { controllerName, type Manifest, metaOf } from './parts.ts';
import type { InstallValues } from './values.ts';

/** Of the Service, where API servers look by default. */
export const webhookServicePort = 443;
const webhookName = 'validate.ambient.mesh';
const path = '/validate';

/** The ValidatingWebhookConfiguration; nothing where it is switched off. The system's own namespace is left out. */
export function webhookObjects(values: InstallValues): Manifest[] {
  const { namespace, webhook } = values;
  if (!webhook.enabled) return [];
  const rules = [...Map.groupBy(admittedKinds, ({ group }) => group)].map(([group, kinds]) => ({
    apiGroups: [group],
    apiVersions: [...new Set(kinds.flatMap(({ versions }) => versions))],
    operations: ['CREATE', 'UPDATE'],
    resources: kinds.map(({ plural }) => plural),
    scope: 'Namespaced',
  }));
  const configuration = {
    name: webhookName,
    admissionReviewVersions: ['v1'],
    clientConfig: { service: { namespace, name: controllerName, path, port: webhookServicePort } },
    failurePolicy: webhook.failurePolicy,
    // Other versions of a kind are converted to one that is read.
    matchPolicy: 'Equivalent',
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [namespace] }],
    },
    rules,
    sideEffects: 'None',
    timeoutSeconds: webhook.timeoutSeconds,
  };
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: metaOf(controllerName, controllerName),
      webhooks: [configuration],
    },
  ];
}
