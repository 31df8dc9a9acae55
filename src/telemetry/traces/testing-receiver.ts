// For tests: a receiver of OTLP over HTTP. It decodes what comes by the protocol's own numbers (opentelemetry-proto,
// trace/v1), with another library than the one that encodes, and answers as it is told.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { createFileRegistry, fromBinary, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { nodeHttps } from '../../base/node-http.ts';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for none. */
  readonly parentId: string;
  readonly state: string;
  readonly name: string;
  readonly kind: 'server' | 'client';
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
  readonly message: string;
  readonly isParentRemote: boolean;
  readonly resource: Readonly<Record<string, unknown>>;
}

type Reply = (request: IncomingMessage, response: ServerResponse) => void;
type FieldRow = readonly [name: string, number: number, type: string, label?: 'optional' | 'repeated'];

const messages: Readonly<Record<string, readonly FieldRow[]>> = {
  Request: [['resource_spans', 1, 'ResourceSpans', 'repeated']],
  ResourceSpans: [
    ['resource', 1, 'Resource'],
    ['scope_spans', 2, 'ScopeSpans', 'repeated'],
  ],
  Resource: [['attributes', 1, 'KeyValue', 'repeated']],
  ScopeSpans: [['spans', 2, 'Span', 'repeated']],
  Span: [
    ['trace_id', 1, 'BYTES'],
    ['span_id', 2, 'BYTES'],
    ['trace_state', 3, 'STRING'],
    ['parent_span_id', 4, 'BYTES'],
    ['name', 5, 'STRING'],
    ['kind', 6, 'INT32'],
    ['start_time_unix_nano', 7, 'FIXED64'],
    ['end_time_unix_nano', 8, 'FIXED64'],
    ['attributes', 9, 'KeyValue', 'repeated'],
    ['status', 15, 'Status'],
    ['flags', 16, 'FIXED32'],
  ],
  Status: [
    ['message', 2, 'STRING'],
    ['code', 3, 'INT32'],
  ],
  KeyValue: [
    ['key', 1, 'STRING'],
    ['value', 2, 'AnyValue'],
  ],
  AnyValue: [
    ['string_value', 1, 'STRING'],
    ['bool_value', 2, 'BOOL'],
    ['int_value', 3, 'INT64'],
    ['double_value', 4, 'DOUBLE'],
  ],
  Response: [['partial_success', 1, 'Partial']],
  Partial: [
    ['rejected_spans', 1, 'INT64'],
    ['error_message', 2, 'STRING'],
  ],
};

const registry = createFileRegistry(
  fromJson(FileDescriptorSetSchema, {
    file: [
      {
        name: 'otlp.proto',
        package: 'otlp',
        syntax: 'proto3',
        messageType: Object.entries(messages).map(([name, fields]) => ({ name, field: fields.map(fieldOf) })),
      },
    ],
  }),
);

function fieldOf([name, number, type, repeated = 'optional']: FieldRow): Json {
  const jsonName = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const field = { name, number, jsonName, label: `LABEL_${repeated.toUpperCase()}` };
  const isMessage = type in messages;
  return isMessage ? { ...field, type: 'TYPE_MESSAGE', typeName: `.otlp.${type}` } : { ...field, type: `TYPE_${type}` };
}

/** How it is spoken to where a test is about something else. */
export const plainReceiver = { credentialsDir: '', compression: 'none' } as const;

/** What it serves HTTPS with. */
export interface ServerKeys {
  readonly key: string;
  readonly cert: string;
}

/** A server on loopback that keeps the spans that it is sent. */
export class TestReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Posts that have come, whatever was answered. */
  posts = 0;
  /** Of the last post. */
  headers: IncomingHttpHeaders = {};
  /** Answers instead of 200 as long as it is set. */
  reply: Reply | null = null;
  readonly #server: Server;
  readonly #isTls: boolean;
  readonly #waiting = new Set<() => void>();

  constructor(keys: ServerKeys | null = null) {
    const take: RequestListener = (request, response) => void this.#take(request, response);
    this.#isTls = keys !== null;
    this.#server = keys === null ? createServer(take) : nodeHttps.createServer(keys, take);
  }

  /** Resolves to its address; `host` and `port` default to loopback and any. */
  async listen(port = 0, host = '127.0.0.1'): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, host, resolve));
    return `${this.#isTls ? 'https' : 'http'}://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Resolves when `isThere` is true, asked after each post. */
  async until(isThere: () => boolean): Promise<void> {
    while (!isThere()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** `GET /spans` tells what has come to whoever cannot look into this process. */
  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      response.end(JSON.stringify(this.spans));
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.posts++;
    this.headers = request.headers;
    if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/x-protobuf') {
      response.writeHead(400).end();
    } else if (this.reply !== null) this.reply(request, response);
    else {
      const body = Buffer.concat(chunks);
      this.spans.push(...decodeSpans(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    }
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}

/** The body of an answer that says that `rejected` spans were not taken. */
export function partialSuccess(rejected: number, why: string): Buffer {
  const text = Buffer.from(why);
  const partial = Buffer.concat([Buffer.from([0x08, rejected, 0x12, text.length]), text]);
  return Buffer.concat([Buffer.from([0x0a, partial.length]), partial]);
}

interface Json {
  readonly [name: string]: JsonValue;
}

/** The spans of an export request. */
export function decodeSpans(body: Buffer): ReceivedSpan[] {
  const schema = registry.getMessage('otlp.Request')!;
  const { resourceSpans = [] } = toJson(schema, fromBinary(schema, body), { registry }) as { resourceSpans?: Json[] };
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    (scopeSpans as Json[]).flatMap(({ spans = [] }) =>
      (spans as Json[]).map((span) => spanOf(span, attributesOf((resource as Json | undefined)?.attributes))),
    ),
  );
}

function spanOf(span: Json, resource: ReceivedSpan['resource']): ReceivedSpan {
  const status = (span.status ?? {}) as Json;
  return {
    traceId: hexOf(span.traceId),
    spanId: hexOf(span.spanId),
    parentId: hexOf(span.parentSpanId),
    state: String(span.traceState ?? ''),
    name: String(span.name),
    kind: span.kind === 2 ? 'server' : 'client',
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
    attributes: attributesOf(span.attributes),
    isError: status.code === 2,
    message: String(status.message ?? ''),
    isParentRemote: (Number(span.flags ?? 0) & 0x200) !== 0,
    resource,
  };
}

function hexOf(base64: JsonValue | undefined): string {
  return Buffer.from(String(base64 ?? ''), 'base64').toString('hex');
}

function attributesOf(list: JsonValue | undefined): Record<string, unknown> {
  const pairs = ((list ?? []) as Json[]).map(({ key, value }) => {
    const [[kind, raw] = ['', null]] = Object.entries((value ?? {}) as Json);
    return [String(key), kind === 'intValue' ? Number(raw) : raw] as const;
  });
  return Object.fromEntries(pairs);
}
