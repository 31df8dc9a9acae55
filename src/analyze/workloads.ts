// Pods that an author may believe to be in the mesh, and labels that contradict each other.
import { enrolmentLabels, modeOf } from '../model/enrolment.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';

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
  reportUndecided(mesh, report);
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

/** Namespaces with pods that say neither that they are in the mesh nor that they are not; systems are left alone. */
function reportUndecided(mesh: AnalyzedMesh, report: Report): void {
  const called = new Set(mesh.pods.filter(({ labels }) => modeOf(labels) === null).map(({ namespace }) => namespace));
  for (const namespace of mesh.of('Namespace')) {
    const { name, labels } = namespace;
    if (!called.has(name) || modeOf(labels) !== null || labels[injectionLabel] !== undefined) continue;
    if (name.startsWith('kube-') || mesh.options.rootNamespaces.includes(name)) continue;
    const message = 'has pods and says nothing about the mesh: their traffic is not in it';
    const fix = `ambientctl enroll ${name}, or label it ${enrolmentLabels[0]}=none if that is meant`;
    report(namespace, 'AMB1033', ['metadata', 'labels'], message, fix);
  }
}
