// The lab's cluster through a Kubernetes API: who uses kubectl on it gets what `lab apply` and `lab delete` would do.

import { writeFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { issueOf, refusalOf } from '../kube/findings.ts';
import type { Resource } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import { fabricAddresses } from './addresses.ts';
import { ApiServer } from './api-server/api-server.ts';
import type { ContainerAccess } from './api-server/containers.ts';
import { ApiFailure, forbidden } from './api-server/failure.ts';
import { meshTypes } from './api-server/resources.ts';
import { type ClusterRules, defaultRules } from './api-server/rules.ts';
import type { TokenIssuer } from './issuer.ts';
import { readLabManifests } from './manifests.ts';
import type { KubeObject, Pod } from './objects.ts';
import { kubeconfigFile } from './running.ts';
import type { ServiceAllocator } from './services.ts';
import type { ObjectStore } from './store.ts';

/** What of the lab the API needs. */
export interface LabApiParts {
  readonly store: ObjectStore;
  readonly issuer: TokenIssuer;
  readonly containers: ContainerAccess;
  readonly services: ServiceAllocator;
  /** What the mesh finds in manifests. */
  readonly check: (resources: readonly Resource[]) => readonly ResourceIssue[];
  /** True for a pod that a kubelet of the lab runs. */
  readonly isRun: (pod: Pod) => boolean;
  /** Conditions as the lab knows them, of what has them from the controller. */
  readonly statusOf: (kind: string, namespace: string, name: string) => object | null;
  /** Connects to a port of a pod. */
  readonly dial: (pod: Pod, port: number) => Promise<Duplex>;
}

/** Where the API is, from inside the lab: on every address of the fabric that the machine has. */
const fabricPort = 6443;
/** The descriptor of the socket that `launch.ts` opens on the host's loopback for whoever calls from there. */
const apiSocketFd = 3;

/** The API server of a lab. */
export function labApiServer(parts: LabApiParts): ApiServer {
  const { store, issuer, containers } = parts;
  const listen = [
    { host: '127.0.0.1', fd: apiSocketFd },
    { host: fabricAddresses[0], port: fabricPort },
  ];
  const names = [...fabricAddresses];
  const portForward = (pod: KubeObject, port: number): Promise<Duplex> => parts.dial(pod as Pod, port);
  const access = { containers, portForward };
  return new ApiServer({ store, issuer, ...access, listen, names, extraTypes: meshTypes, rules: labRules(parts) });
}

/** Starts the API server and writes the kubeconfig. */
export async function startLabApi(server: ApiServer, name: string): Promise<void> {
  await server.start();
  writeFileSync(kubeconfigFile, server.kubeconfig(`lab-${name}`), { mode: 0o600 });
}

function labRules(parts: LabApiParts): ClusterRules {
  const usual = defaultRules(parts.services);
  return {
    ...usual,
    check: (object, previous) => check(parts, object, previous),
    isHeld: (object) => object.kind === 'Pod' && parts.isRun(object as Pod),
    shown: (object) => {
      const status = parts.statusOf(object.kind, object.metadata.namespace ?? '', object.metadata.name);
      return status === null ? object : { ...object, status };
    },
  };
}

/** The same findings as of `lab apply`, and the same words. */
function check({ check: find }: LabApiParts, object: KubeObject, previous: KubeObject | null): void {
  if (object.kind === 'Node' && object.apiVersion === 'v1' && previous === null) {
    const why = 'nodes are made when the lab starts: end it and start it with this manifest';
    throw forbidden({ plural: 'nodes', group: '' }, object.metadata.name, why);
  }
  if (object.metadata.deletionTimestamp !== undefined) return;
  const errors = findings(object, find).filter((issue) => issue.severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  const { kind, metadata } = object;
  const { message, details } = refusalOf(kind, metadata.name, errors);
  throw new ApiFailure(422, 'Invalid', message, details);
}

function findings(object: KubeObject, find: LabApiParts['check']): readonly ResourceIssue[] {
  try {
    return find(readLabManifests([{ file: 'request', text: JSON.stringify(object) }]).resources);
  } catch (error) {
    return [issueOf(error)];
  }
}
