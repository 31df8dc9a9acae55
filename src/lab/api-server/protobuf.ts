// Bodies in Kubernetes' protobuf, which kubectl sends for what it makes itself (`create namespace`, `create token`,
// `auth can-i`, …): a reader of the few kinds that this takes. Answers are JSON, which every client reads too. Field
// numbers: the generated.proto files of k8s.io/api and apimachinery.
import { type ApiFailure, badRequest, unsupportedMediaType } from './failure.ts';

export const protobufType = 'application/vnd.kubernetes.protobuf';

type Kind = 'string' | 'bytes' | 'boolean' | 'integer' | 'strings' | 'stringMap' | 'bytesMap' | Message;

interface Message {
  readonly [field: number]: readonly [name: string, kind: Kind] | readonly [name: string, kind: Message, isList: true];
}

const ownerReference: Message = {
  1: ['kind', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
  5: ['apiVersion', 'string'],
  6: ['controller', 'boolean'],
  7: ['blockOwnerDeletion', 'boolean'],
};
const meta: Message = {
  1: ['name', 'string'],
  2: ['generateName', 'string'],
  3: ['namespace', 'string'],
  5: ['uid', 'string'],
  6: ['resourceVersion', 'string'],
  11: ['labels', 'stringMap'],
  12: ['annotations', 'stringMap'],
  13: ['ownerReferences', ownerReference, true],
  14: ['finalizers', 'strings'],
};
const boundObject: Message = {
  1: ['kind', 'string'],
  2: ['apiVersion', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
};
const tokenSpec: Message = {
  1: ['audiences', 'strings'],
  3: ['boundObjectRef', boundObject],
  4: ['expirationSeconds', 'integer'],
};
const resourceAttributes: Message = {
  1: ['namespace', 'string'],
  2: ['verb', 'string'],
  3: ['group', 'string'],
  4: ['version', 'string'],
  5: ['resource', 'string'],
  6: ['subresource', 'string'],
  7: ['name', 'string'],
};
const pathAttributes: Message = { 1: ['path', 'string'], 2: ['verb', 'string'] };
const accessSpec: Message = {
  1: ['resourceAttributes', resourceAttributes],
  2: ['nonResourceAttributes', pathAttributes],
};

/** By `APIVERSION KIND`. */
const messages: Readonly<Record<string, Message>> = {
  'v1 Namespace': { 1: ['metadata', meta] },
  'v1 ServiceAccount': { 1: ['metadata', meta] },
  'v1 ConfigMap': {
    1: ['metadata', meta],
    2: ['data', 'stringMap'],
    3: ['binaryData', 'bytesMap'],
    4: ['immutable', 'boolean'],
  },
  'v1 Secret': {
    1: ['metadata', meta],
    2: ['data', 'bytesMap'],
    3: ['type', 'string'],
    4: ['stringData', 'stringMap'],
    5: ['immutable', 'boolean'],
  },
  'authentication.k8s.io/v1 TokenRequest': { 1: ['metadata', meta], 2: ['spec', tokenSpec] },
  'authentication.k8s.io/v1 SelfSubjectReview': { 1: ['metadata', meta] },
  'authorization.k8s.io/v1 SelfSubjectAccessReview': { 1: ['metadata', meta], 2: ['spec', accessSpec] },
  'authorization.k8s.io/v1 SelfSubjectRulesReview': {
    1: ['metadata', meta],
    2: ['spec', { 1: ['namespace', 'string'] }],
  },
};

/** Before the envelope, which says of what kind the object is. */
const magic = Buffer.from('k8s\0');
const typeMeta: Message = { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] };
const envelope: Message = { 1: ['typeMeta', typeMeta], 2: ['raw', 'bytes'] };

/** The object of a body. Throws 415 for a kind that is not read here, 400 for bytes that are no such message. */
export function protobufObject(body: Buffer): object {
  if (!body.subarray(0, magic.length).equals(magic)) throw malformed();
  const { typeMeta: type, raw } = read(body.subarray(magic.length), envelope) as {
    typeMeta?: { apiVersion?: string; kind?: string };
    raw?: string;
  };
  const { apiVersion = '', kind = '' } = type ?? {};
  const message = messages[`${apiVersion} ${kind}`];
  if (message === undefined) throw unsupportedMediaType('application/json, application/yaml');
  return { apiVersion, kind, ...read(Buffer.from(raw ?? '', 'base64'), message) };
}

function read(bytes: Buffer, message: Message): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const reader = new WireReader(bytes);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const field = message[Number(tag >> 3n)];
    const value = reader.value(Number(tag & 7n));
    if (field === undefined) continue;
    const [name, kind, isList] = field;
    add(result, name, kind, value, isList === true);
  }
  return result;
}

function add(result: Record<string, unknown>, name: string, kind: Kind, value: Buffer | bigint, isList: boolean): void {
  if (kind === 'boolean' || kind === 'integer') {
    if (typeof value !== 'bigint') throw malformed();
    result[name] = kind === 'boolean' ? value !== 0n : Number(BigInt.asIntN(64, value));
    return;
  }
  if (typeof value === 'bigint') throw malformed();
  if (kind === 'stringMap' || kind === 'bytesMap') {
    const entry: Message = { 1: ['key', 'string'], 2: ['value', kind === 'stringMap' ? 'string' : 'bytes'] };
    const { key = '', value: inner = '' } = read(value, entry) as { key?: string; value?: string };
    result[name] = { ...(result[name] as object | undefined), [key]: inner };
  } else if (kind === 'strings') result[name] = [...((result[name] as string[] | undefined) ?? []), value.toString()];
  else if (kind === 'string') {
    // What nobody has set is sent as an empty text.
    if (value.length > 0) result[name] = value.toString();
  } else if (kind === 'bytes') result[name] = value.toString('base64');
  else if (isList) result[name] = [...((result[name] as object[] | undefined) ?? []), read(value, kind)];
  else result[name] = read(value, kind);
}

/** Tags, varints and stretches of bytes; see protobuf.dev, Encoding. */
class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed();
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
    throw malformed();
  }

  value(wireType: number): Buffer | bigint {
    if (wireType === 0) return this.varint();
    if (wireType === 1) return this.#take(8);
    if (wireType === 5) return this.#take(4);
    if (wireType !== 2) throw malformed();
    return this.#take(Number(this.varint()));
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw malformed();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function malformed(): ApiFailure {
  return badRequest('the body of the request is no protobuf of Kubernetes');
}
