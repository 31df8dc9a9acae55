// All resources of one type as the controller serves them, and the order in which they changed. Streams read the log
// from a cursor of their own, so a slow proxy costs the controller one number and not a queue.
//
//   log:   … a  b  c  a  d          resources: a→v7 b→v2 d→v1   (c is gone)
//              ▲           ▲
//        a stream's cursor end
import { createHash } from 'node:crypto';
import type { EncodedResource } from './resources.ts';

/**
 * How many changes are remembered beyond the number of resources. A stream that lies further back has to begin anew.
 */
const logSlackMax = 10_000;

/** Current resources by name, and a bounded log of the names that changed. */
export class ResourceTable {
  readonly #resources = new Map<string, EncodedResource>();
  #log: string[] = [];
  #logStart = 0;
  #digest = 0n;

  /** Adds or replaces; false when the content is the one that was there. */
  upsert(resource: EncodedResource): boolean {
    const before = this.#resources.get(resource.name);
    if (before?.version === resource.version) return false;
    if (before !== undefined) this.#digest ^= fingerprint(before);
    this.#digest ^= fingerprint(resource);
    this.#resources.set(resource.name, resource);
    this.#note(resource.name);
    return true;
  }

  /** False when there was none. */
  remove(name: string): boolean {
    const before = this.#resources.get(name);
    if (before === undefined) return false;
    this.#digest ^= fingerprint(before);
    this.#resources.delete(name);
    this.#note(name);
    return true;
  }

  get(name: string): EncodedResource | undefined {
    return this.#resources.get(name);
  }

  names(): IterableIterator<string> {
    return this.#resources.keys();
  }

  get size(): number {
    return this.#resources.size;
  }

  /** Names the whole content: equal for equal content, on every replica and after every restart. */
  get version(): string {
    return this.#digest.toString(16).padStart(16, '0');
  }

  /** Where the log ends: the cursor of a stream that has seen everything. */
  get end(): number {
    return this.#logStart + this.#log.length;
  }

  /** The names that changed since `cursor`, in order, some of them more than once; null when that is too long ago. */
  changesSince(cursor: number): readonly string[] | null {
    if (cursor < this.#logStart) return null;
    return this.#log.slice(cursor - this.#logStart);
  }

  #note(name: string): void {
    this.#log.push(name);
    const excess = this.#log.length - (this.#resources.size + logSlackMax);
    if (excess < logSlackMax) return; // cut in large steps, since every cut copies
    this.#log = this.#log.slice(excess);
    this.#logStart += excess;
  }
}

/** 64 bits per resource, combined by XOR: adding and removing cost the same whatever the size of the mesh. */
function fingerprint(resource: EncodedResource): bigint {
  const hash = createHash('sha256').update(resource.name).update('\0').update(resource.version).digest();
  return hash.readBigUInt64BE(0);
}
