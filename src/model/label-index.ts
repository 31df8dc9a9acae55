// Labels and selectors, indexed both ways: which objects does a selector match, and which selectors match an object.
// Both look into one bucket per label instead of at every object.
import { MultiMap } from '../base/multi-map.ts';
import type { Labels } from './resources.ts';

/** True when every label of the selector is among the labels. An empty selector matches everything. */
export function selects(selector: Labels, labels: Labels): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

/** Objects by namespace and labels. */
export class LabelIndex {
  readonly #labels = new Map<string, { readonly namespace: string; readonly labels: Labels }>();
  readonly #buckets = new MultiMap<string, string>();

  set(id: string, namespace: string, labels: Labels): void {
    this.delete(id);
    this.#labels.set(id, { namespace, labels });
    for (const bucket of bucketsOf(namespace, labels)) this.#buckets.add(bucket, id);
  }

  delete(id: string): void {
    const known = this.#labels.get(id);
    if (known === undefined) return;
    this.#labels.delete(id);
    for (const bucket of bucketsOf(known.namespace, known.labels)) this.#buckets.delete(bucket, id);
  }

  /** The objects that a selector with at least one label matches; `namespace` null looks in all. */
  *matching(namespace: string | null, selector: Labels): Generator<string> {
    let smallest: ReadonlySet<string> | null = null;
    for (const [key, value] of Object.entries(selector)) {
      const bucket = this.#buckets.get(bucketOf(namespace, key, value));
      if (smallest === null || bucket.size < smallest.size) smallest = bucket;
    }
    for (const id of smallest ?? []) {
      if (selects(selector, this.#labels.get(id)!.labels)) yield id;
    }
  }
}

/** Selectors with at least one label, by the namespace they look in; null for all namespaces. */
export class SelectorIndex {
  readonly #selectors = new Map<string, { readonly bucket: string; readonly selector: Labels }>();
  readonly #buckets = new MultiMap<string, string>();

  set(id: string, namespace: string | null, selector: Labels): void {
    this.delete(id);
    const first = Object.entries(selector)[0];
    if (first === undefined) return;
    const bucket = bucketOf(namespace, ...first);
    this.#selectors.set(id, { bucket, selector });
    this.#buckets.add(bucket, id);
  }

  delete(id: string): void {
    const known = this.#selectors.get(id);
    if (known === undefined) return;
    this.#selectors.delete(id);
    this.#buckets.delete(known.bucket, id);
  }

  /** The ids of the selectors that match an object, in the order of their names. */
  matching(namespace: string, labels: Labels): string[] {
    const found: string[] = [];
    for (const bucket of bucketsOf(namespace, labels)) {
      for (const id of this.#buckets.get(bucket)) {
        if (selects(this.#selectors.get(id)!.selector, labels)) found.push(id);
      }
    }
    return found.sort();
  }
}

function bucketOf(namespace: string | null, key: string, value: string): string {
  return `${namespace ?? ''}\n${key}\n${value}`;
}

/** An object stands in the buckets of its namespace and in those of all namespaces. */
function* bucketsOf(namespace: string, labels: Labels): Generator<string> {
  for (const [key, value] of Object.entries(labels)) {
    yield bucketOf(namespace, key, value);
    yield bucketOf(null, key, value);
  }
}
