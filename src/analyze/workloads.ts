// Pods that an author may believe to be in the mesh, and labels that contradict each other.
import { enrolmentLabels, modeOf } from '../model/enrolment.ts';
import type { Analyzer } from './analyze.ts';

const injectionLabel = 'istio-injection';
const sidecarAnnotation = 'sidecar.istio.io/status';

/** Looks at namespaces and pods. */
export const workloads: Analyzer = (mesh, report) => {
  for (const namespace of mesh.of('Namespace')) {
    if (namespace.labels[injectionLabel] === 'enabled' && modeOf(namespace.labels) === 'ambient') {
      const message = 'is labelled for sidecars and for the mesh: pods that get a sidecar are left out of the mesh';
      report(namespace, 'AMB1007', ['metadata', 'labels', injectionLabel], message, `remove ${injectionLabel}`);
    }
    const said = enrolmentLabels.flatMap((label) => namespace.labels[label] ?? []);
    if (new Set(said).size > 1) {
      const message = `says ${said.join(' and ')}: ${enrolmentLabels[0]} decides`;
      report(namespace, 'AMB1008', ['metadata', 'labels', enrolmentLabels[1]], message, 'keep one of the two labels');
    }
  }
  for (const { resource, labels, spec, namespace } of mesh.pods) {
    if ((modeOf(labels) ?? modeOf(mesh.labelsOf(namespace))) !== 'ambient') continue;
    if (spec.hostNetwork) {
      const message = 'uses the network of its node, and is not in the mesh, though its labels ask for it';
      report(
        resource,
        'AMB1009',
        ['spec'],
        message,
        'leave hostNetwork out, or label it ambient.mesh/dataplane-mode=none',
      );
    } else if (resource.annotations[sidecarAnnotation] !== undefined) {
      const message = 'has a sidecar, and is not in the mesh, though its labels ask for it';
      report(resource, 'AMB1009', ['metadata', 'annotations'], message, 'restart it without injection');
    }
  }
};
