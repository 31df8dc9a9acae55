// What the programs of an installation may do, as their manifests say it: for who runs them as a cluster would.
import { MeshError } from '../base/errors.ts';
import { isMapping } from '../kube/object-reader.ts';
import { installManifests } from './manifests.ts';
import type { InstallValues } from './values.ts';

/** What of a securityContext decides what a program may do. */
export interface ProgramSecurity {
  readonly userId: number;
  /** As Kubernetes writes them (`NET_ADMIN`); all others are dropped. */
  readonly capabilities: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/** The rights of the node proxy and of the controller. Throws CONFIG_INVALID for values that do not fit. */
export function programSecurity(values: InstallValues): Readonly<Record<'node' | 'controller', ProgramSecurity>> {
  const manifests = installManifests(values);
  const of = (kind: string) => securityOf(fieldsOf(manifests.find((each) => each.kind === kind)));
  return { node: of('DaemonSet'), controller: of('Deployment') };
}

function securityOf(workload: Fields): ProgramSecurity {
  const pod = at(workload, 'spec', 'template', 'spec');
  const [container] = pod['containers'] as unknown[];
  const context = { ...at(pod, 'securityContext'), ...at(fieldsOf(container), 'securityContext') } as Fields;
  const { drop, add = [] } = fieldsOf(context['capabilities']);
  const isStrict = context['readOnlyRootFilesystem'] === true && context['allowPrivilegeEscalation'] === false;
  if (!isStrict || !Array.isArray(drop) || !drop.includes('ALL') || !Array.isArray(add)) throw unexpected();
  return { userId: Number(context['runAsUser']), capabilities: add.map(String) };
}

function at(fields: Fields, ...path: readonly string[]): Fields {
  return path.reduce((inner, key) => fieldsOf(inner[key]), fields);
}

function fieldsOf(value: unknown): Fields {
  if (!isMapping(value)) throw unexpected();
  return value;
}

function unexpected(): MeshError {
  return new MeshError('INTERNAL', { reason: 'a program is installed without a strict securityContext' });
}
