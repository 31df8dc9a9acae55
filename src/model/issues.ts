// How the compiler tells an author about a resource: what is wrong, where, and what to write instead.
import { type FindingCode, findingCodes } from './finding-codes.ts';
import { pathText, type Resource, type ResourcePath } from './resources.ts';
import type { ResourceIssue } from './types.ts';

/** Collects the findings about one resource. */
export class IssueList {
  readonly #resource: Resource;
  readonly issues: ResourceIssue[] = [];

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** `path` says which value of the resource it is about; the severity is that of the code. */
  add(code: FindingCode, path: ResourcePath, message: string, fix: string): void {
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
    });
  }
}
