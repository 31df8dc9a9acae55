// Structural schemas of CustomResourceDefinitions: defaults are filled in, unknown fields pruned, values checked.
// Of CEL (`x-kubernetes-validations`) nothing is judged.
import type { StatusCause } from './failure.ts';

export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'granular' | 'atomic';
}

type Fields = Record<string, unknown>;

/** True for what JSON calls an object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value with the defaults of the schema filled in; what was there stays. */
export function withDefaults(value: unknown, schema: Schema): unknown {
  if (isFields(value)) {
    const filled: Fields = { ...value };
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (filled[name] === undefined && property.default !== undefined) filled[name] = property.default;
      if (filled[name] === null && property.nullable !== true && property.default !== undefined)
        filled[name] = property.default;
      if (filled[name] !== undefined) filled[name] = withDefaults(filled[name], property);
    }
    const rest = schema.additionalProperties;
    if (isFields(rest)) {
      for (const name of Object.keys(filled)) filled[name] = withDefaults(filled[name], rest);
    }
    return filled;
  }
  if (Array.isArray(value) && schema.items !== undefined) {
    const { items } = schema;
    return value.map((item) => withDefaults(item, items));
  }
  return value;
}

/** The value without fields that the schema does not have; their paths go to `unknown`. */
export function pruned(value: unknown, schema: Schema, unknown: string[], path = '', isRoot = true): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return value.map((item, at) => pruned(item, items, unknown, `${path}[${at}]`, false));
  }
  if (!isFields(value)) return value;
  const kept: Fields = {};
  for (const [name, inner] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    const isHead = isRoot || schema['x-kubernetes-embedded-resource'] === true;
    if (isHead && (name === 'apiVersion' || name === 'kind' || name === 'metadata')) kept[name] = inner;
    else if (schema.properties?.[name] !== undefined)
      kept[name] = pruned(inner, schema.properties[name], unknown, at, false);
    else if (isFields(schema.additionalProperties))
      kept[name] = pruned(inner, schema.additionalProperties as Schema, unknown, at, false);
    else if (schema.additionalProperties === true || schema['x-kubernetes-preserve-unknown-fields'] === true)
      kept[name] = inner;
    else unknown.push(at);
  }
  return kept;
}

/** What is wrong with the value, in the words of the API server. */
export function schemaFaults(value: unknown, schema: Schema, path = ''): StatusCause[] {
  if (value === null && schema.nullable === true) return [];
  const wrongType = typeFault(value, schema, path);
  if (wrongType !== null) return [wrongType];
  const faults: StatusCause[] = [];
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    const values = schema.enum.map((each) => JSON.stringify(each)).join(', ');
    const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}`;
    faults.push({ reason: 'FieldValueNotSupported', message, field: path });
  }
  if (typeof value === 'string') faults.push(...stringFaults(value, schema, path));
  if (typeof value === 'number') faults.push(...numberFaults(value, schema, path));
  if (Array.isArray(value)) faults.push(...listFaults(value, schema, path));
  if (isFields(value)) faults.push(...fieldFaults(value, schema, path));
  return faults;
}

function invalidValue(value: unknown, path: string, words: string): StatusCause {
  const shown = isFields(value) || Array.isArray(value) ? '' : `${JSON.stringify(value)}: `;
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shown}${words}`, field: path };
}

function typeFault(value: unknown, schema: Schema, path: string): StatusCause | null {
  const actual = typeName(value);
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (actual === 'integer' || actual === 'string') return null;
  } else {
    const { type } = schema;
    if (type === undefined || type === actual || (type === 'number' && actual === 'integer')) return null;
  }
  const wanted = schema['x-kubernetes-int-or-string'] === true ? 'integer,string' : (schema.type ?? '');
  const message = `Invalid value: "${actual}": ${path} in body must be of type ${wanted}: "${actual}"`;
  return { reason: 'FieldValueTypeInvalid', message, field: path };
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function stringFaults(value: string, schema: Schema, path: string): StatusCause[] {
  const faults: StatusCause[] = [];
  const { minLength, maxLength, pattern } = schema;
  if (maxLength !== undefined && value.length > maxLength) {
    const message = `Too long: may not be more than ${maxLength} bytes`;
    faults.push({ reason: 'FieldValueTooLong', message, field: path });
  }
  if (minLength !== undefined && value.length < minLength)
    faults.push(invalidValue(value, path, `${path} in body should be at least ${minLength} chars long`));
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    faults.push(invalidValue(value, path, `${path} in body should match '${pattern}'`));
  return faults;
}

function numberFaults(value: number, schema: Schema, path: string): StatusCause[] {
  const { minimum, maximum } = schema;
  if (minimum !== undefined && value < minimum)
    return [invalidValue(value, path, `${path} in body should be greater than or equal to ${minimum}`)];
  if (maximum !== undefined && value > maximum)
    return [invalidValue(value, path, `${path} in body should be less than or equal to ${maximum}`)];
  return [];
}

function listFaults(value: readonly unknown[], schema: Schema, path: string): StatusCause[] {
  const faults: StatusCause[] = [];
  const { minItems, maxItems, items } = schema;
  if (maxItems !== undefined && value.length > maxItems) {
    const message = `Too many: ${value.length}: must have at most ${maxItems} items`;
    faults.push({ reason: 'FieldValueTooMany', message, field: path });
  }
  if (minItems !== undefined && value.length < minItems)
    faults.push(invalidValue(value.length, path, `${path} in body should have at least ${minItems} items`));
  const keys = schema['x-kubernetes-list-map-keys'];
  if (keys !== undefined && schema['x-kubernetes-list-type'] === 'map') {
    const seen = new Set<string>();
    for (const [at, item] of value.entries()) {
      const shown = Object.fromEntries(keys.map((key) => [key, isFields(item) ? item[key] : undefined]));
      const key = JSON.stringify(shown);
      if (seen.has(key)) {
        const message = `Duplicate value: ${key}`;
        faults.push({ reason: 'FieldValueDuplicate', message, field: `${path}[${at}]` });
      }
      seen.add(key);
    }
  }
  if (items !== undefined) faults.push(...value.flatMap((item, at) => schemaFaults(item, items, `${path}[${at}]`)));
  return faults;
}

function fieldFaults(value: Fields, schema: Schema, path: string): StatusCause[] {
  const faults: StatusCause[] = [];
  const inner = (name: string) => (path === '' ? name : `${path}.${name}`);
  for (const name of schema.required ?? []) {
    if (value[name] === undefined)
      faults.push({ reason: 'FieldValueRequired', message: 'Required value', field: inner(name) });
  }
  const rest = isFields(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
  for (const [name, each] of Object.entries(value)) {
    const property = schema.properties?.[name] ?? rest;
    if (property !== undefined && each !== undefined) faults.push(...schemaFaults(each, property, inner(name)));
  }
  return faults;
}
