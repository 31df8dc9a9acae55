// PeerAuthentication → DENY policies (ambient-l4 §2.5). A workload obeys the oldest object that selects it, then the
// oldest of its namespace, then the oldest of the mesh; what one leaves unset the next decides, and PERMISSIVE is where
// it ends.
import { converted } from './converted-policies.ts';
import { IssueList } from './issues.ts';
import { selects } from './label-index.ts';
import type { Labels, MtlsMode, PeerAuthenticationResource } from './resources.ts';
import type { NamespacedKey, Policy, ResourceIssue } from './types.ts';

type EffectiveMode = 'STRICT' | 'PERMISSIVE';

/** What a workload has to do with PeerAuthentication. */
export interface PeerOutcome {
  /** The policy that refuses plaintext, or null when nothing does. */
  readonly policy: NamespacedKey | null;
  /** The object that a person would look at; null when nothing refuses plaintext. */
  readonly decidedBy: { readonly namespace: string; readonly name: string } | null;
}

const nothing: PeerOutcome = Object.freeze({ policy: null, decidedBy: null });

/** The PeerAuthentications of a mesh. */
export class PeerAuthenticationTable {
  readonly #rootNamespaces: readonly string[];
  /** Oldest first. */
  readonly #byNamespace = new Map<string, PeerAuthenticationResource[]>();

  constructor(rootNamespaces: readonly string[]) {
    this.#rootNamespaces = rootNamespaces;
  }

  set(resource: PeerAuthenticationResource): void {
    const others = this.#without(resource.namespace, resource.name);
    this.#byNamespace.set(resource.namespace, [...others, resource].sort(compareAge));
  }

  delete(namespace: string, name: string): void {
    const rest = this.#without(namespace, name);
    if (rest.length === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, rest);
  }

  get(namespace: string, name: string): PeerAuthenticationResource | null {
    return this.#byNamespace.get(namespace)?.find((one) => one.name === name) ?? null;
  }

  namespaces(): IterableIterator<string> {
    return this.#byNamespace.keys();
  }

  /** True when the object holds for the whole mesh. */
  isMeshWide(resource: PeerAuthenticationResource): boolean {
    return resource.selector === null && this.#rootNamespaces.includes(resource.namespace);
  }

  outcomeFor(namespace: string, labels: Labels): PeerOutcome {
    const parent = this.#parentOf(namespace);
    const own = this.#selecting(namespace, labels);
    if (own === null) return this.#strictIf(parent.mode === 'STRICT', parent.by);
    if (convert(own, parent.mode) !== null) {
      return { policy: `${namespace}/${converted.portLevelName(own.name)}`, decidedBy: own };
    }
    if (own.mtls === 'UNSET') return this.#strictIf(parent.mode === 'STRICT', parent.by);
    return this.#strictIf(own.mtls === 'STRICT', own);
  }

  /** The policies that the objects of a namespace turn into. */
  policiesOf(namespace: string): Policy[] {
    const parent = this.#parentOf(namespace).mode;
    const all = this.#byNamespace.get(namespace) ?? [];
    return all.map((resource) => convert(resource, parent)).filter((policy) => policy !== null);
  }

  /** The policy that all plainly STRICT workloads share; null while no object asks for STRICT. */
  strictPolicy(): Policy | null {
    for (const all of this.#byNamespace.values()) {
      if (all.some((one) => modeOf(one) === 'STRICT')) return converted.strict(this.#rootNamespaces[0]!);
    }
    return null;
  }

  /** Findings about the objects of a namespace, by name. */
  issuesOf(namespace: string): Map<string, readonly ResourceIssue[]> {
    const found = new Map<string, readonly ResourceIssue[]>();
    let first: PeerAuthenticationResource | null = null;
    for (const resource of this.#byNamespace.get(namespace) ?? []) {
      const list = new IssueList(resource);
      if (resource.selector === null) {
        if (first !== null) {
          const message = `is not obeyed: ${first.name} is older and holds for the same workloads`;
          list.add('AMB0311', ['metadata', 'name'], message, 'keep one of the two');
        }
        first ??= resource;
        reportPortsWithoutSelector(resource, list);
      }
      found.set(resource.name, list.issues);
    }
    return found;
  }

  /** The findings about an object as if it were among the others, instead of what has its name. */
  findingsAbout(resource: PeerAuthenticationResource): readonly ResourceIssue[] {
    const { namespace, name } = resource;
    const before = this.get(namespace, name);
    this.set(resource);
    try {
      return this.issuesOf(namespace).get(name) ?? [];
    } finally {
      if (before === null) this.delete(namespace, name);
      else this.set(before);
    }
  }

  #without(namespace: string, name: string): PeerAuthenticationResource[] {
    return (this.#byNamespace.get(namespace) ?? []).filter((one) => one.name !== name);
  }

  #strictIf(isStrict: boolean, by: PeerAuthenticationResource | null): PeerOutcome {
    return isStrict ? { policy: converted.strictKey(this.#rootNamespaces[0]!), decidedBy: by } : nothing;
  }

  /** Mesh-wide and namespace-wide objects together. */
  #parentOf(namespace: string): { mode: EffectiveMode; by: PeerAuthenticationResource | null } {
    const meshWide = this.#rootNamespaces.map((root) => this.#wholeNamespace(root)).filter((one) => one !== null);
    const mesh = meshWide.sort(compareAge)[0] ?? null;
    const own = this.#rootNamespaces.includes(namespace) ? null : this.#wholeNamespace(namespace);
    const by = own !== null && modeOf(own) !== 'UNSET' ? own : mesh;
    return { mode: by !== null && modeOf(by) === 'STRICT' ? 'STRICT' : 'PERMISSIVE', by };
  }

  #wholeNamespace(namespace: string): PeerAuthenticationResource | null {
    return this.#byNamespace.get(namespace)?.find((one) => one.selector === null) ?? null;
  }

  #selecting(namespace: string, labels: Labels): PeerAuthenticationResource | null {
    const all = this.#byNamespace.get(namespace) ?? [];
    return all.find((one) => one.selector !== null && selects(one.selector, labels)) ?? null;
  }
}

/** The port-level policy of an object that selects workloads; null when its ports do not differ from the rest. */
function convert(resource: PeerAuthenticationResource, parent: EffectiveMode): Policy | null {
  if (resource.selector === null) return null;
  const isStrict = resource.mtls === 'STRICT' || (resource.mtls === 'UNSET' && parent === 'STRICT');
  const { namespace, name, portLevelMtls } = resource;
  const strict = portLevelMtls.filter((one) => one.mode === 'STRICT').map((one) => one.port);
  const open = portLevelMtls
    .filter((one) => one.mode === 'PERMISSIVE' || one.mode === 'DISABLE')
    .map((one) => one.port);
  if (isStrict) return open.length === 0 ? null : converted.strictExcept(namespace, name, open);
  return strict.length === 0 ? null : converted.strictOn(namespace, name, strict);
}

/** Ports cannot be told apart without a selector: one that must be STRICT makes all of them so. */
function modeOf(resource: PeerAuthenticationResource): MtlsMode {
  const hasStrictPort = resource.portLevelMtls.some((one) => one.mode === 'STRICT');
  return resource.selector === null && hasStrictPort ? 'STRICT' : resource.mtls;
}

function reportPortsWithoutSelector(resource: PeerAuthenticationResource, list: IssueList): void {
  if (resource.portLevelMtls.length === 0) return;
  const outcome = modeOf(resource) === 'STRICT' ? 'every port is STRICT' : 'the ports are as all others';
  const message = `portLevelMtls needs a selector; without it ${outcome}`;
  list.add('AMB0312', ['spec', 'portLevelMtls'], message, 'add spec.selector.matchLabels, or leave portLevelMtls out');
}

/** Without a time an object is taken for the newest; names decide among equals. */
function compareAge(a: PeerAuthenticationResource, b: PeerAuthenticationResource): number {
  const ages = ageOf(a) - ageOf(b);
  if (ages !== 0 && !Number.isNaN(ages)) return ages;
  const first = `${a.namespace}/${a.name}`;
  const second = `${b.namespace}/${b.name}`;
  return first < second ? -1 : first > second ? 1 : 0;
}

function ageOf(resource: PeerAuthenticationResource): number {
  return resource.creationTimestamp === null ? Number.POSITIVE_INFINITY : Date.parse(resource.creationTimestamp);
}
