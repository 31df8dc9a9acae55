// Label and field selectors of list and watch requests (`app=web,tier!=db,env in (a,b),!old`).
import { messageOf } from '../../base/errors.ts';
import { labelTest } from '../../base/label-selector.ts';
import type { KubeObject } from '../objects.ts';
import { badRequest } from './failure.ts';
import type { ResourceType } from './resources.ts';

export type Predicate = (object: KubeObject) => boolean;

const everything: Predicate = () => true;

/** What a label selector lets through. Throws 400 for one that cannot be read. */
export function labelSelector(text: string): Predicate {
  if (text === '') return everything;
  try {
    const test = labelTest(text);
    return ({ metadata }) => test(metadata.labels);
  } catch (error) {
    throw badRequest(`unable to parse requirement: ${messageOf(error)}`);
  }
}

/** Parts between commas that stand outside of parentheses. */
function splitTerms(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

/** Fields that the built-in kinds can be selected by, beside their name and namespace. */
const fieldsOfKind: Readonly<Record<string, readonly string[]>> = {
  Pod: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  Node: ['spec.unschedulable'],
  Namespace: ['status.phase'],
  Secret: ['type'],
  Service: ['spec.clusterIP', 'spec.type'],
  Event: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
};

/** What a field selector lets through. Throws 400 for a field that the kind cannot be selected by. */
export function fieldSelector(text: string, type: ResourceType): Predicate {
  const terms = splitTerms(text).map((term) => fieldTerm(term, type));
  return terms.length === 0 ? everything : (object) => terms.every((term) => term(object));
}

function fieldTerm(text: string, type: ResourceType): Predicate {
  const match = /^([\w.[\]-]+)(==|!=|=)(.*)$/.exec(text);
  if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${text}'`);
  const [, field = '', operator, value] = match;
  const known = ['metadata.name', 'metadata.namespace', ...(fieldsOfKind[type.kind] ?? []), ...type.selectableFields];
  if (!known.includes(field)) {
    const what = `${type.group}/${type.version}, Resource=${type.plural}`;
    const why = `that match label selector "", field selector "${text}": field label not supported: ${field}`;
    throw badRequest(`Unable to find "${what}" ${why}`);
  }
  const names = field.split('.');
  return (object) => (fieldText(object, names) === value) === (operator !== '!=');
}

function fieldText(object: KubeObject, names: readonly string[]): string {
  let at: unknown = object;
  for (const name of names)
    at = at === null || typeof at !== 'object' ? undefined : (at as Record<string, unknown>)[name];
  return at === undefined || at === null ? '' : String(at);
}

/** The one name that a field selector asks for, or null: such a list needs no walk over all. */
export function nameOfSelector(text: string): string | null {
  for (const term of splitTerms(text)) {
    const match = /^metadata\.name==?(.+)$/.exec(term);
    if (match !== null) return match[1] ?? null;
  }
  return null;
}
