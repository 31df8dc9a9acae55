// What is to be said about one object, as findings: what the readers refuse, and what the compiler finds in it among
// the objects that are there. `status`, `lab apply`, the API server of a lab and the webhook of the controller say the
// same.
import { isMeshError } from '../base/errors.ts';
import { placeOf } from '../config/yaml.ts';
import type { MeshCompiler } from '../model/compiler.ts';
import type { Resource } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { KubeObject } from './api/prune.ts';
import { readKubeObject } from './kube-object.ts';

/** The mesh as it is without the object, or with what the object was before. */
export type PresentMesh = Pick<MeshCompiler, 'findingsAbout'>;

export interface ObjectFindings {
  /** False when the readers refuse it: then the one finding is why. */
  readonly isReadable: boolean;
  readonly findings: readonly ResourceIssue[];
}

/** What is found in an object of the API server if it were in force now. The mesh stays as it is. */
export function findingsIn(object: KubeObject, mesh: PresentMesh): ObjectFindings {
  let resource: Resource;
  try {
    resource = readKubeObject(object);
  } catch (error) {
    return { isReadable: false, findings: [issueOf(error)] };
  }
  return { isReadable: true, findings: mesh.findingsAbout(resource) };
}

/** A reading error as a finding: the object cannot be read, and nothing else can be said of it. */
export function issueOf(error: unknown): ResourceIssue {
  const place = placeOf(error);
  const { reason, kind = '', namespace = '', name = '' } = isMeshError(error) ? error.details : {};
  const object = { kind: String(kind), namespace: String(namespace), name: String(name) };
  const message = String(reason ?? error);
  return { code: 'AMB0001', severity: 'error', ...object, message, fix: '', place, field: fieldIn(message) };
}

/** A finding as a field and the words about it, the field not said twice; the field is '' for the whole object. */
export function wordsOf({ message, fix, field }: Pick<ResourceIssue, 'message' | 'fix' | 'field'>): {
  readonly field: string;
  readonly words: string;
} {
  const [, written, rest] = fieldPattern.exec(message) ?? [];
  const words = written !== undefined && rest !== undefined && asField(written) === field ? rest : message;
  return { field, words: fix === '' ? words : `${words}; ${fix}` };
}

/** The errors of an object as an API server refuses it with them: kubectl shows field and words of each cause. */
export function refusalOf(kind: string, name: string, errors: readonly ResourceIssue[]) {
  const causes = errors.map((error) => {
    const { field, words } = wordsOf(error);
    return { field, message: words };
  });
  const words = causes.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`)).join('; ');
  return { message: `${kind} "${name}" is invalid: ${words}`, details: { name, kind, causes } };
}

/** Readers begin with the path of what they refuse, its steps joined by dots. */
const fieldPattern = /^((?:spec|metadata|status|apiVersion|kind)\b[^\s]*) (.*)$/s;

function fieldIn(message: string): string {
  return asField(fieldPattern.exec(message)?.[1] ?? '');
}

function asField(written: string): string {
  return written.replace(/\.(\d+)(?=\.|$)/g, '[$1]');
}
