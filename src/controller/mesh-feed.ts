// From manifests to proxies: what a source reads is compiled and given to discovery. Whatever is wrong is named with its
// place, once, and the last good state stays in force.
import { messageOf } from '../base/errors.ts';
import type { FolderSource, SourceChange } from '../kube/folder-source.ts';
import type { MeshCompiler } from '../model/compiler.ts';
import type { MeshUpdate, ResourceIssue, SourcePlace } from '../model/types.ts';
import type { SourceView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface MeshFeedOptions {
  readonly source: FolderSource;
  readonly compiler: MeshCompiler;
  /** Takes each change of the mesh. */
  readonly publish: (update: MeshUpdate) => void;
  readonly log: Logger;
}

export class MeshFeed {
  readonly #options: MeshFeedOptions;
  /** Complaints about sources that have been logged, by path: said again only when they change. */
  readonly #complaints = new Map<string, string>();
  #isRead = false;

  constructor(options: MeshFeedOptions) {
    this.#options = options;
    options.source.on('changed', (change) => this.#take(change));
    options.source.on('status', () => this.#tellSources());
  }

  /** Reads everything once, then follows changes. */
  async start(): Promise<void> {
    await this.#options.source.start();
    this.#isRead = true;
    this.#tellSources();
  }

  /** All sources have been read once. */
  get isRead(): boolean {
    return this.#isRead;
  }

  sources(): readonly SourceView[] {
    return this.#options.source.views();
  }

  close(): void {
    this.#options.source.close();
  }

  #take(change: SourceChange): void {
    const { compiler, publish, log } = this.#options;
    try {
      for (const { kind, namespace, name } of change.deletes) compiler.delete(kind, namespace, name);
      for (const resource of change.upserts) compiler.upsert(resource);
      const { update, issues } = compiler.flush();
      publish(update);
      for (const issue of issues) this.#tell(issue);
      const { workloads, services, policies, removedAddresses, removedPolicies } = update;
      const removed = removedAddresses.length + removedPolicies.length;
      const counts = { workloads: workloads.length, services: services.length, policies: policies.length, removed };
      log.debug(counts, 'the mesh has changed');
    } catch (error) {
      log.error({ reason: messageOf(error) }, 'cannot compile a change; the last good state stays in force');
    }
  }

  #tell(issue: ResourceIssue): void {
    if (issue.severity === 'info') return;
    const { kind, namespace, name, message, fix } = issue;
    const resource = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
    const fields = { resource, ...(fix === '' ? {} : { fix }) };
    const words = `${issue.place === null ? '' : `${placeText(issue.place)}: `}${message}`;
    if (issue.severity === 'error') this.#options.log.error(fields, words);
    else this.#options.log.warn(fields, words);
  }

  #tellSources(): void {
    for (const { path, error } of this.sources()) {
      const complaint = error === null ? '' : `${placeText(error)}: ${error.message}`;
      const before = this.#complaints.get(path) ?? '';
      if (complaint === before) continue;
      this.#complaints.set(path, complaint);
      if (complaint === '') this.#options.log.info({ path }, 'the source can be read again');
      else this.#options.log.error({ path }, `${complaint}; what it said before stays in force`);
    }
  }
}

function placeText(place: SourcePlace): string {
  return `${place.file}:${place.line}:${place.column}`;
}
