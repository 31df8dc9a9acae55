// Objects as callers get them: in the version of the path, whole, as metadata alone, or as rows of a table.
import type { KubeObject } from '../objects.ts';
import { ApiFailure } from './failure.ts';
import type { ListPage } from './reader.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import { columnsOf, rowOf } from './tables.ts';

/** What the caller takes. */
export type Shape = 'whole' | 'metadata' | 'table';

/** `includeObject` of a table. */
export type Included = 'Metadata' | 'Object' | 'None';

/** The shape that an `Accept` header prefers. Throws 406 when it takes nothing that is made here. */
export function shapeOf(accept: string | undefined): Shape {
  for (const clause of (accept ?? '*/*').split(',')) {
    const [type = '', ...parameters] = clause.split(';').map((word) => word.trim());
    const wanted = parameters.find((word) => word.startsWith('as='))?.slice('as='.length);
    if (!['application/json', '*/*', 'application/*', 'application/yaml', ''].includes(type)) continue;
    if (wanted === undefined || type !== 'application/json') return 'whole';
    if (wanted === 'Table') return 'table';
    if (wanted.startsWith('PartialObjectMetadata')) return 'metadata';
  }
  const message = 'only the following media types are accepted: application/json, application/yaml';
  throw new ApiFailure(406, 'NotAcceptable', message);
}

/** Makes answers out of objects. */
export class Presenter {
  readonly #shown: (object: KubeObject) => KubeObject;
  readonly #nowMs: () => number;
  /** JSON of objects in the version that they are stored in: objects never change, and many callers get the same. */
  readonly #texts = new WeakMap<KubeObject, { readonly apiVersion: string; readonly json: string }>();

  constructor(shown: (object: KubeObject) => KubeObject, nowMs: () => number) {
    this.#shown = shown;
    this.#nowMs = nowMs;
  }

  /** The object in the version of `type`. */
  view(type: ResourceType, object: KubeObject): KubeObject {
    const shown = this.#shown(object);
    const { generation, ...metadata } = shown.metadata;
    const counted = type.hasGeneration && generation !== undefined ? { generation } : {};
    return { ...shown, apiVersion: apiVersionOf(type), metadata: { ...metadata, ...counted } };
  }

  /** JSON of one object. */
  json(type: ResourceType, object: KubeObject, shape: Shape, included: Included): string {
    if (shape === 'table') return JSON.stringify(this.#table(type, [object], included, true));
    if (shape === 'metadata') return JSON.stringify(partial(this.view(type, object)));
    const apiVersion = apiVersionOf(type);
    const known = this.#texts.get(object);
    if (known !== undefined && known.apiVersion === apiVersion && this.#shown(object) === object) return known.json;
    const json = JSON.stringify(this.view(type, object));
    this.#texts.set(object, { apiVersion, json });
    return json;
  }

  /** JSON of one object in an event; of a table only the first event names the columns. */
  eventJson(type: ResourceType, object: KubeObject, shape: Shape, included: Included, isFirst: boolean): string {
    if (shape !== 'table') return this.json(type, object, shape, included);
    return JSON.stringify(this.#table(type, [object], included, isFirst));
  }

  /** JSON of a list. */
  listJson(type: ResourceType, page: ListPage, shape: Shape, included: Included): string {
    const metadata = {
      resourceVersion: String(page.version),
      ...(page.continueToken === null ? {} : { continue: page.continueToken }),
      ...(page.remaining === null ? {} : { remainingItemCount: page.remaining }),
    };
    if (shape === 'table') return JSON.stringify({ ...this.#table(type, page.items, included, true), metadata });
    if (shape === 'metadata') {
      const items = page.items.map((object) => partial(this.view(type, object)));
      return JSON.stringify({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items });
    }
    const head = JSON.stringify({ kind: `${type.kind}List`, apiVersion: apiVersionOf(type), metadata });
    const items = page.items.map((object) => this.json(type, object, 'whole', included));
    return `${head.slice(0, -1)},"items":[${items.join(',')}]}`;
  }

  #table(type: ResourceType, objects: readonly KubeObject[], included: Included, hasColumns: boolean): object {
    const nowMs = this.#nowMs();
    const rows = objects.map((object) => {
      const view = this.view(type, object);
      const shown = included === 'None' ? {} : { object: included === 'Object' ? view : partial(view) };
      return { cells: rowOf(type, view, nowMs), ...shown };
    });
    const version = objects[0]?.metadata.resourceVersion;
    return {
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: version === undefined ? {} : { resourceVersion: version },
      columnDefinitions: hasColumns ? columnsOf(type) : null,
      rows,
    };
  }
}

function partial({ metadata }: KubeObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}
