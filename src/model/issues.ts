// How the compiler tells an author about a resource: what is wrong, where, and what to write instead.
import { pathText, type Resource, type ResourcePath } from './resources.ts';
import type { ResourceIssue } from './types.ts';

/** Collects the findings about one resource. */
export class IssueList {
  readonly #resource: Resource;
  readonly issues: ResourceIssue[] = [];

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** `path` says which value of the resource it is about. */
  add(severity: ResourceIssue['severity'], path: ResourcePath, message: string, fix: string): void {
    const { kind, namespace, name, places } = this.#resource;
    this.issues.push({ severity, kind, namespace, name, message, fix, place: places.at(path), field: pathText(path) });
  }
}
