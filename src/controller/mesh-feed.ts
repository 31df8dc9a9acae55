// From a source to proxies: what it reads is compiled and given to discovery. Whatever is wrong is named with
// its place, once, and the last good state stays in force.
import { compactHeap } from '../base/compact-heap.ts';
import { messageOf } from '../base/errors.ts';
import { formatPlace } from '../config/yaml.ts';
import type { MeshSource, SourceChange } from '../kube/mesh-source.ts';
import type { MeshCompiler } from '../model/compiler.ts';
import type { MeshUpdate, ResourceIssue } from '../model/types.ts';
import type { SourceView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';

type Deletion = SourceChange['deletes'][number];

export interface MeshFeedOptions {
  readonly source: MeshSource;
  readonly compiler: MeshCompiler;
  /** Takes each change of the mesh. */
  readonly publish: (update: MeshUpdate) => void;
  readonly log: Logger;
  /** Called after each compile: what changed in the mesh, what went, and what was read. */
  readonly compiled?: (update: MeshUpdate, gone: readonly Deletion[], upserts: SourceChange['upserts']) => void;
}

/** Objects: what reading so many has left behind is worth a collection, which takes about a second. */
const largeChange = 20_000;
const kept = 'what it said before stays in force';
const waits = 'proxies are served once it can be read';

/** Follows one set of sources for as long as the controller runs. */
export class MeshFeed {
  readonly #options: MeshFeedOptions;
  /** Complaints about sources that have been logged, by path: said again only when they change. */
  readonly #complaints = new Map<string, string>();
  /** What went when a whole source went: it stays in force until the source is back without it. */
  readonly #withheld = new Map<string, Deletion>();
  #isRead = false;

  constructor(options: MeshFeedOptions) {
    this.#options = options;
    options.source.on('changed', (change) => this.#take(change));
    options.source.on('status', () => {
      this.#tellSources();
      // A source that came back with less, and with nothing new to say.
      if (this.#withheld.size > 0) this.#take({ upserts: [], deletes: [] });
    });
  }

  /** Reads everything once, then follows changes. */
  async start(): Promise<void> {
    await this.#options.source.start();
    this.#tellSources();
  }

  /**
   * All sources have been readable at one time since the start. Before that the mesh may lack what a broken file says,
   * a policy perhaps, and nobody must be told that it is gone.
   */
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
      const gone = this.#due(change);
      for (const { kind, namespace, name } of gone) compiler.delete(kind, namespace, name);
      for (const resource of change.upserts) compiler.upsert(resource);
      const { update, issues } = compiler.flush();
      publish(update);
      this.#options.compiled?.(update, gone, change.upserts);
      for (const issue of issues) this.#tell(issue);
      const { workloads, services, policies, removedAddresses, removedPolicies } = update;
      const removed = removedAddresses.length + removedPolicies.length;
      const counts = { workloads: workloads.length, services: services.length, policies: policies.length, removed };
      log.debug(counts, 'the mesh has changed');
      if (change.upserts.length >= largeChange) setImmediate(compactHeap);
    } catch (error) {
      log.error({ reason: messageOf(error) }, 'cannot compile a change; the last good state stays in force');
    }
  }

  /**
   * The deletions to carry out now: none while a whole source is missing, and later those that it did not bring back.
   */
  #due(change: SourceChange): readonly Deletion[] {
    for (const deletion of change.deletes) this.#withheld.set(keyOf(deletion), deletion);
    for (const resource of change.upserts) this.#withheld.delete(keyOf(resource));
    if (this.#options.source.isWithholding) return [];
    const due = [...this.#withheld.values()];
    this.#withheld.clear();
    return due;
  }

  #tell(issue: ResourceIssue): void {
    if (issue.severity === 'info') return;
    const { kind, namespace, name, message, fix } = issue;
    const resource = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
    const fields = { resource, ...(fix === '' ? {} : { fix }) };
    const words = `${issue.place === null ? '' : `${formatPlace(issue.place)}: `}${message}`;
    if (issue.severity === 'error') this.#options.log.error(fields, words);
    else this.#options.log.warn(fields, words);
  }

  #tellSources(): void {
    const sources = this.sources();
    this.#isRead ||= this.#options.source.isComplete;
    for (const { path, error } of sources) {
      const complaint = error === null ? '' : `${formatPlace(error)}: ${error.message}`;
      const before = this.#complaints.get(path) ?? '';
      if (complaint === before) continue;
      this.#complaints.set(path, complaint);
      if (complaint === '') this.#options.log.info({ path }, 'the source can be read again');
      else this.#options.log.error({ path }, `${complaint}; ${this.#isRead ? kept : waits}`);
    }
  }
}

function keyOf(resource: Deletion): string {
  return `${resource.kind}/${resource.namespace}/${resource.name}`;
}
