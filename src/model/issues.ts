// How the compiler tells an author about a resource: what is wrong, where, and what to write instead.
import { namesText, nearestName } from '../base/nearest-name.ts';
import { type FindingCode, findingCodes } from './finding-codes.ts';
import { pathText, type Resource, type ResourcePath } from './resources.ts';
import type { ResourceIssue, Sought, SoughtObject } from './types.ts';

/** Collects the findings about one resource. */
export class IssueList {
  readonly #resource: Resource;
  readonly issues: ResourceIssue[] = [];

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** `path` says which value of the resource it is about; the severity is that of the code. */
  add(code: FindingCode, path: ResourcePath, message: string, fix: string, sought?: Sought | null): void {
    const { kind, namespace, name, places } = this.#resource;
    const { severity } = findingCodes[code];
    this.issues.push({
      code,
      severity,
      kind,
      namespace,
      name,
      message,
      fix,
      place: places.at(path),
      field: pathText(path),
      ...(sought == null ? {} : { sought }),
    });
  }
}

/** The names of a kind, `NAMESPACE/NAME`. */
export type NamesOf = (kind: SoughtObject['kind']) => Iterable<string>;

/**
 * A finding as it is told: what else there is of what was looked for in vain. That is asked for now and not when the
 * object is compiled, which would have to be compiled again with every other name. `lists` false gives the nearest name
 * alone, for who may not know all of them.
 */
export function toldIssue(issue: ResourceIssue, namesOf: NamesOf, lists = true): ResourceIssue {
  const { sought, ...told } = issue;
  if (sought === undefined || sought.kind === 'name') return told;
  const { kind, namespace, name } = sought;
  const ids = [...namesOf(kind)];
  const here = namesIn(ids, namespace);
  const near = nearestObject(namespace, name, ids);
  const has = lists && here.length > 0 ? `; namespace ${namespace} has ${namesText(here)}` : '';
  return { ...told, fix: `${told.fix}${has}${near === null ? '' : `; did you mean ${near}?`}` };
}

/** The object that is meant: one of the namespace by a name like it, else `NAMESPACE/NAME` elsewhere; null for none. */
export function nearestObject(namespace: string, name: string, ids: readonly string[]): string | null {
  const elsewhere = ids.find((id) => id !== `${namespace}/${name}` && id.endsWith(`/${name}`));
  return nearestName(name, namesIn(ids, namespace)) ?? elsewhere ?? null;
}

/** The names of a namespace among ids `NAMESPACE/NAME`. */
export function namesIn(ids: Iterable<string>, namespace: string): string[] {
  const prefix = `${namespace}/`;
  return [...ids].flatMap((id) => (id.startsWith(prefix) ? [id.slice(prefix.length)] : []));
}
