// What a request asks for: its path taken apart as the API server does (RequestInfo of apiserver), and its body.
import type { IncomingMessage } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import { readYaml } from '../../config/yaml.ts';
import { ApiFailure, badRequest, unsupportedMediaType } from './failure.ts';
import { protobufObject, protobufType } from './protobuf.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** Something below `/api/v1` or `/apis/GROUP/VERSION`. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  /** Null for every namespace, or for what lives in none. */
  readonly namespace: string | null;
  readonly plural: string;
  readonly name: string | null;
  readonly subresource: string | null;
}

const bodyBytesMax = 3 * 1024 * 1024;

/** The resource that `path` names, or null for a path of another kind. */
export function resourcePath(path: string): ResourcePath | null {
  const words = path
    .split('/')
    .filter((word) => word !== '')
    .map(decode);
  const isCore = words[0] === 'api';
  if (!isCore && words[0] !== 'apis') return null;
  const [group, version, ...rest] = isCore ? ['', ...words.slice(1)] : words.slice(1);
  if (group === undefined || version === undefined || rest.length === 0) return null;
  // `/api/v1/namespaces/NAME` is the namespace itself, and so are its own subresources.
  const isInside = rest[0] === 'namespaces' && rest.length > 2 && !isOfNamespace(rest[2]);
  const [plural = '', name = null, subresource = null, ...tooMany] = isInside ? rest.slice(2) : rest;
  if (tooMany.length > 0) return null;
  return { group, version, namespace: isInside ? (rest[1] as string) : null, plural, name, subresource };
}

function isOfNamespace(word: string | undefined): boolean {
  return word === 'status' || word === 'finalize';
}

function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    throw badRequest(`the path has a part that is no text: ${word}`);
  }
}

/** The verb by which authorization knows the request. Null for a method that nothing has. */
export function verbOf(method: string, path: ResourcePath, query: URLSearchParams): Verb | null {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (isTrue(query.get('watch'))) return 'watch';
      return path.name === null ? 'list' : 'get';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return path.name === null ? 'deletecollection' : 'delete';
    default:
      return null;
  }
}

/** `1`, `true`, or there without a value. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

/** The whole body. Throws 413 beyond 3 MiB, as the API server does. */
export async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += (chunk as Buffer).length;
    if (bytes > bodyBytesMax) {
      const message = `Request entity too large: limit is ${bodyBytesMax}`;
      throw new ApiFailure(413, 'RequestEntityTooLarge', message);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** The value of a JSON, YAML or protobuf body; undefined for an empty one. Throws 400 or 415. */
export function bodyValue(body: Buffer, contentType: string | undefined): unknown {
  if (body.length === 0) return undefined;
  const type = (contentType ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === protobufType) return protobufObject(body);
  const text = body.toString('utf8');
  if (type.endsWith('yaml')) return yamlValue(text);
  if (!type.endsWith('json') && type !== '*/*') throw unsupportedMediaType('application/json, application/yaml');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(`the object provided is unrecognized (must be of type JSON): ${messageOf(error)}`);
  }
}

function yamlValue(text: string): unknown {
  try {
    return readYaml(text, 'body')[0]?.value;
  } catch (error) {
    throw badRequest(`error decoding YAML: ${messageOf(error)}`);
  }
}

/** A number of a query, or undefined when it is not there. Throws 400 for anything else. */
export function numberOf(query: URLSearchParams, key: string): number | undefined {
  const text = query.get(key);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`unable to decode "${key}": ${JSON.stringify(text)} is no number`);
  return Number(text);
}
