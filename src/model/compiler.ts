// From Kubernetes resources to the mesh: pure, and incremental.
import { MeshError } from '../base/errors.ts';
import type { PodPhase, Resource, ResourceKind } from './resources.ts';
import type { MeshUpdate, ResourceIssue, SpiffeId } from './types.ts';
import type { MeshView } from './views.ts';

export interface CompilerOptions {
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  /** The system's namespace first; policies in any of them without a selector hold for the whole mesh. */
  readonly rootNamespaces: readonly string[];
  /** Offline: a Deployment and the like without pods stands as one healthy workload without address. */
  readonly expandTemplates: boolean;
}

export interface PodInfo {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly phase: PodPhase;
  readonly hostNetwork: boolean;
}

/** Holds the resources of a mesh and compiles what changed. */
export class MeshCompiler {
  constructor(_options: CompilerOptions) {}

  /** Adds or replaces a resource; takes effect with the next `flush`. */
  upsert(_resource: Resource): void {
    notYet();
  }

  /** Removes a resource; one that is not there is ignored. */
  delete(_kind: ResourceKind, _namespace: string, _name: string): void {
    notYet();
  }

  /** What changed since the last flush, and the findings about the resources that were compiled for it. */
  flush(): { update: MeshUpdate; issues: readonly ResourceIssue[] } {
    return notYet();
  }

  /** The whole mesh as of the last flush. */
  mesh(): MeshView {
    return notYet();
  }

  /** As `mesh`, as an update with `complete: true`. */
  snapshot(): MeshUpdate {
    return notYet();
  }

  /** Every finding about the present resources. */
  issues(): readonly ResourceIssue[] {
    return notYet();
  }

  /** The pod as its resource says, finished ones too; null when there is none. */
  pod(_namespace: string, _name: string): PodInfo | null {
    return notYet();
  }

  /** True when a pod with this SPIFFE id that has not finished is scheduled on the node. */
  hasIdentityOnNode(_identity: SpiffeId, _node: string): boolean {
    return notYet();
  }
}

function notYet(): never {
  throw new MeshError('INTERNAL', { reason: 'the compiler is not there yet' });
}
