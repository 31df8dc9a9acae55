// Findings about objects that the mesh does not use, and that matter to it all the same.
import type { UnusedObject } from '../kube/manifests.ts';
import { type FindingCode, findingCodes } from '../model/finding-codes.ts';
import { pathText } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';

/** A finding about an object that the mesh does not use. */
export function finding(
  { kind, namespace, name, places }: UnusedObject,
  code: FindingCode,
  path: (string | number)[],
  message: string,
  fix: string,
): ResourceIssue {
  const { severity } = findingCodes[code];
  return { code, severity, kind, namespace, name, message, fix, place: places.at(path), field: pathText(path) };
}
