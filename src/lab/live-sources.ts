// The folders that a lab was started with, applied again whenever they change. A file that is broken, or whose change
// is refused, changes nothing: its complaint stands in the status until it is repaired.
import { FolderSource } from '../kube/folder-source.ts';
import type { SourceChange } from '../kube/mesh-source.ts';
import type { Resource } from '../model/resources.ts';
import { resourceKey } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { SourceView } from '../model/views.ts';
import type { KubeObject } from './objects.ts';

export interface LiveSourcesOptions {
  readonly paths: readonly string[];
  /** Applies and deletes as one; answers what forbids it, and then nothing has happened. */
  readonly apply: (upserts: readonly Resource[], deletes: readonly ResourceName[]) => readonly ResourceIssue[];
  readonly log: (line: string) => void;
}

export interface ResourceName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Watches from `start` to `close`. What is there at the start has been applied already and is not applied again. */
export class LiveSources {
  readonly #options: LiveSourcesOptions;
  readonly #source: FolderSource;
  #isFirst = true;
  /** What was refused, to be tried again together with the next change. */
  readonly #held = new Map<string, Resource | ResourceName>();
  #refused: readonly ResourceIssue[] = [];
  readonly #said = new Map<string, string>();

  constructor(options: LiveSourcesOptions) {
    this.#options = options;
    this.#source = new FolderSource(options.paths);
    this.#source.on('changed', (change) => this.#changed(change));
    this.#source.on('status', () => this.#tell());
  }

  async start(): Promise<void> {
    if (this.#options.paths.length > 0) await this.#source.start();
    this.#isFirst = false;
  }

  close(): void {
    this.#source.close();
  }

  /** One view per path; a refused change is an error of the path that its file lies under. */
  views(): readonly SourceView[] {
    return this.#source.views().map((view) => {
      const issue = this.#refused.find(({ place }) => place !== null && isBelow(place.file, view.path));
      if (!view.ok || issue?.place == null) return view;
      return { ...view, ok: false, error: { ...issue.place, message: issue.message } };
    });
  }

  #changed(change: SourceChange): void {
    if (this.#isFirst) return;
    for (const resource of change.upserts) this.#held.set(resourceKey(resource), resource);
    for (const name of change.deletes) this.#held.set(resourceKey(name), name);
    const held = [...this.#held.values()];
    const upserts = held.filter((each): each is Resource => 'raw' in each);
    const deletes = held.filter((each) => !('raw' in each));
    this.#refused = this.#options.apply(upserts, deletes);
    if (this.#refused.length === 0) this.#held.clear();
    this.#tell();
  }

  /** Says a complaint once, and once that it is gone. */
  #tell(): void {
    for (const { path, error } of this.views()) {
      const words = error === null ? '' : `${error.file}:${error.line}:${error.column}: ${error.message}`;
      if (words === (this.#said.get(path) ?? '')) continue;
      this.#said.set(path, words);
      this.#options.log(words === '' ? `${path} can be applied again` : `${words}; what was there before stays`);
    }
  }
}

function isBelow(file: string, path: string): boolean {
  return file === path || file.startsWith(path.endsWith('/') ? path : `${path}/`);
}

/** The whole object of a resource, as it is applied. */
export function objectOf(resource: Resource): KubeObject {
  const raw = resource.raw as unknown as KubeObject;
  const { namespace: _, ...metadata } = raw.metadata;
  return { ...raw, metadata: { ...metadata, ...(resource.namespace === '' ? {} : { namespace: resource.namespace }) } };
}
