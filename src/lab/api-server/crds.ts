// CustomResourceDefinitions: while one is there its kind is served, and its objects go with it.
import type { KubeObject } from '../objects.ts';
import { type Change, type ObjectStore, rfc3339 } from '../store.ts';
import { type FullMeta, metaOf, withMeta } from './metadata.ts';
import type { Column, ResourceRegistry, ResourceType } from './resources.ts';
import type { Schema } from './structural-schema.ts';

interface Definition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly names: Names;
    readonly versions: readonly Version[];
  };
}

interface Names {
  readonly kind: string;
  readonly plural: string;
  readonly singular?: string;
  readonly listKind?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

interface Version {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema?: { readonly openAPIV3Schema?: Schema };
  readonly subresources?: { readonly status?: object };
  readonly additionalPrinterColumns?: readonly Column[];
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
}

export interface DefinitionParts {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly now: () => number;
  /** Called when a kind is not served any more. */
  readonly gone: (type: ResourceType) => void;
}

const definitionGroup = 'apiextensions.k8s.io';
const definitionKind = 'CustomResourceDefinition';
/** Holds a definition until its objects have gone. */
const cleanup = 'customresourcecleanup.apiextensions.k8s.io';

/** Keeps the registry in step with the definitions of a store, a moment after each change, as the API server does. */
export class DefinitionKeeper {
  readonly #parts: DefinitionParts;
  readonly #stop: () => void;
  #isArmed = false;

  constructor(parts: DefinitionParts) {
    this.#parts = parts;
    this.#stop = parts.store.onChange((change) => this.#note(change));
    this.#pass();
  }

  close(): void {
    this.#stop();
  }

  #note({ object }: Change): void {
    if (object.kind !== definitionKind || this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(() => {
      this.#isArmed = false;
      this.#pass();
    });
  }

  #pass(): void {
    const { store, registry } = this.#parts;
    const before = registry.all().filter((type) => type.schema !== null);
    const definitions = store.list<Definition>(definitionKind, undefined, definitionGroup);
    for (const definition of definitions) this.#settle(definition);
    const served = definitions.filter(({ metadata }) => metadata.deletionTimestamp === undefined).flatMap(typesOf);
    registry.setCustom(served);
    for (const type of before) {
      if (registry.byPath(type.group, type.version, type.plural) === undefined) this.#parts.gone(type);
    }
  }

  /** Accepts a new definition; empties and lets go of one that is on its way out. */
  #settle(definition: Definition): void {
    const { store } = this.#parts;
    const meta = metaOf(definition);
    const finalizers = meta.finalizers ?? [];
    const { group, names, versions } = definition.spec;
    if (meta.deletionTimestamp !== undefined) {
      for (const object of store.list(names.kind, undefined, group)) store.remove(object);
      const left = finalizers.filter((each) => each !== cleanup);
      if (left.length > 0) store.put(withMeta(definition, { ...meta, finalizers: left }));
      else store.remove(definition);
      return;
    }
    const storedVersions = versions.filter(({ storage }) => storage).map(({ name }) => name);
    const status = { conditions: this.#conditions(definition), acceptedNames: filledNames(names), storedVersions };
    const held: FullMeta = finalizers.includes(cleanup) ? meta : { ...meta, finalizers: [...finalizers, cleanup] };
    store.put({ ...withMeta(definition, held), status });
  }

  #conditions(definition: Definition): object[] {
    const present = (definition.status as { conditions?: { type: string }[] } | undefined)?.conditions ?? [];
    const time = rfc3339(this.#parts.now());
    return [
      { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' },
      {
        type: 'Established',
        status: 'True',
        reason: 'InitialNamesAccepted',
        message: 'the initial names have been accepted',
      },
    ].map((condition) => {
      return present.find(({ type }) => type === condition.type) ?? { ...condition, lastTransitionTime: time };
    });
  }
}

function filledNames(names: Names): Names {
  return {
    ...names,
    singular: names.singular ?? names.kind.toLowerCase(),
    listKind: names.listKind ?? `${names.kind}List`,
  };
}

function typesOf({ spec }: Definition): ResourceType[] {
  const { group, scope, names, versions } = spec;
  const stored = versions.find(({ storage }) => storage) ?? versions[0];
  return versions
    .filter(({ served }) => served)
    .map((version) => ({
      group,
      version: version.name,
      kind: names.kind,
      plural: names.plural,
      singular: names.singular ?? names.kind.toLowerCase(),
      namespaced: scope === 'Namespaced',
      shortNames: names.shortNames ?? [],
      categories: names.categories ?? [],
      hasStatus: version.subresources?.status !== undefined,
      hasGeneration: true,
      selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath.replace(/^\./, '')),
      schema: version.schema?.openAPIV3Schema ?? {},
      columns: version.additionalPrinterColumns ?? [],
      isCustom: true,
      storedAs: `${group}/${stored?.name ?? version.name}`,
    }));
}
