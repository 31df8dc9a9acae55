// Where the resources of a mesh come from, as the controller sees it: folders of manifests, or a cluster.
import type { EventEmitter } from 'node:events';
import type { Resource, ResourceKind } from '../model/resources.ts';
import type { SourceView } from '../model/views.ts';
import type { Aside } from './aside.ts';

export interface SourceChange {
  readonly upserts: readonly Resource[];
  readonly deletes: readonly { readonly kind: ResourceKind; readonly namespace: string; readonly name: string }[];
}

export interface SourceEvents {
  /** Resources that came, changed or went. The first one has everything. */
  changed: [SourceChange];
  /** What nothing is compiled from may have changed. */
  aside: [];
  /** `views()` answers something new: a part of it broke, or was repaired. */
  status: [];
}

/** Resources, kept up to date from `start` to `close`. */
export interface MeshSource extends EventEmitter<SourceEvents> {
  start(): Promise<void>;
  views(): readonly SourceView[];
  /**
   * True when nothing is unknown that could restrict somebody: what is not there now does not exist. Before the first
   * time nobody must be told what the mesh is.
   */
  readonly isComplete: boolean;
  /** True while deletions must not be carried out: where they come from is missing as a whole. */
  readonly isWithholding: boolean;
  /** Follows, from now on, what nothing is compiled from; `changed` is called when there is something else to say. */
  followAside(changed: () => void): Aside;
  /** Idempotent. */
  close(): void;
}
