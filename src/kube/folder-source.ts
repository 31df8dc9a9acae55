// Watches files and folders of manifests.
import { EventEmitter } from 'node:events';
import { MeshError } from '../base/errors.ts';
import type { Resource, ResourceKind } from '../model/resources.ts';
import type { SourceView } from '../model/views.ts';

export interface SourceChange {
  readonly upserts: readonly Resource[];
  readonly deletes: readonly { readonly kind: ResourceKind; readonly namespace: string; readonly name: string }[];
}

export interface FolderSourceEvents {
  /** Resources that came, changed or went. The first one comes out of `start`, with everything. */
  changed: [SourceChange];
  /** `views()` answers something new: a file broke, or was repaired. */
  status: [];
}

/** The resources under some paths, kept up to date. A file that cannot be read keeps what it said last. */
export class FolderSource extends EventEmitter<FolderSourceEvents> {
  constructor(_paths: readonly string[]) {
    super();
  }

  /** Reads everything, emits `changed` once, then watches. Broken files do not fail it; a path that is not there is watched for. */
  async start(): Promise<void> {
    throw new MeshError('INTERNAL', { reason: 'folders are not watched yet' });
  }

  /** One view per path given. */
  views(): readonly SourceView[] {
    return [];
  }

  /** Stops watching; idempotent. */
  close(): void {}
}
