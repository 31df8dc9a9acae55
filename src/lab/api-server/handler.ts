// One request: who calls, what they may, and the part that answers.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { MeshError } from '../../base/errors.ts';
import type { KubeObject } from '../objects.ts';
import { rfc3339 } from '../store.ts';
import { type ContainerAccess, logRequest } from './containers.ts';
import { discoveryAnswer, kubernetesVersion, openApiAnswer } from './discovery.ts';
import { ApiFailure, badRequest, methodNotAllowed, noSuchResource, type StatusObject } from './failure.ts';
import type { Faults } from './faults.ts';
import { rootPlace } from './list-types.ts';
import { applied } from './managed-fields.ts';
import { objectOfBody } from './metadata.ts';
import { jsonPatch, mergePatch, strategicPatch } from './patches.ts';
import { isPortForward } from './port-forward.ts';
import { type Included, type Presenter, type Shape, shapeOf } from './presenter.ts';
import type { Rbac } from './rbac.ts';
import { predicateOf, type Reader } from './reader.ts';
import { bodyValue, isTrue, type ResourcePath, readBody, resourcePath, type Verb, verbOf } from './request.ts';
import { apiVersionOf, type ResourceRegistry, type ResourceType } from './resources.ts';
import { type Reviews, reviewTypes } from './reviews.ts';
import { hasScale, scaledTo, scaleOf } from './scale.ts';
import type { Authenticator, UserInfo } from './users.ts';
import type { WatchRequest } from './watch.ts';
import type { DeleteOptions, WriteRequest, Writer } from './writer.ts';

export interface HandlerParts {
  readonly registry: ResourceRegistry;
  readonly authenticator: Authenticator;
  readonly rbac: Rbac;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly reviews: Reviews;
  readonly presenter: Presenter;
  readonly faults: Faults;
  /** Null where nothing runs pods. */
  readonly containers: ContainerAccess | null;
  readonly now: () => number;
  readonly watch: (request: WatchRequest, response: ServerResponse) => void;
  readonly jwks: () => object;
  readonly issuerUrl: string;
}

/** A request as the parts see it. */
interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly resource: ResourcePath | null;
  readonly verb: Verb | null;
}

interface ResourceCall extends Call {
  readonly resource: ResourcePath;
  readonly verb: Verb;
  readonly type: ResourceType;
  readonly user: UserInfo;
  readonly shape: Shape;
  readonly included: Included;
}

const isHealth = /^\/(healthz|livez|readyz)(\/|$)/;

/** Answers the requests of one API server. */
export class Handler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  /** Answers; a failure becomes a Status. Never rejects. */
  async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    try {
      const url = new URL(incoming.url ?? '/', 'https://api');
      const path = url.pathname.length > 1 ? url.pathname.replace(/\/+$/, '') : url.pathname;
      const method = incoming.method ?? 'GET';
      const resource = resourcePath(path);
      const verb = resource === null ? null : verbOf(method, resource, url.searchParams);
      const call: Call = { method, path, query: url.searchParams, incoming, response, resource, verb };
      const seen = { method, path, verb, resource: resource?.plural ?? null };
      if (await this.#parts.faults.meet(seen, response)) return;
      await this.#answer(call);
    } catch (error) {
      refuse(response, error);
    }
  }

  /** Who calls. Throws 401, or 403 for who may not call as somebody else. */
  userOf(incoming: IncomingMessage): UserInfo {
    const { socket, headers } = incoming;
    return this.#impersonated(this.#parts.authenticator.userOf(socket as TLSSocket, headers.authorization), incoming);
  }

  async #answer(call: Call): Promise<void> {
    const { rbac } = this.#parts;
    const user = this.userOf(call.incoming);
    const { resource, verb } = call;
    if (resource === null) {
      rbac.check(user, { verb: call.method.toLowerCase(), path: call.path });
      return this.#answerPath(call);
    }
    if (verb === null) throw methodNotAllowed();
    const { group, plural, subresource, name } = resource;
    rbac.check(user, { verb, group, resource: plural, subresource, namespace: namespaceOf(resource), name });
    const apiVersion = group === '' ? resource.version : `${group}/${resource.version}`;
    if (verb === 'create' && reviewTypes.some(([version, each]) => version === apiVersion && each === plural)) {
      const answer = this.#parts.reviews.answer(apiVersion, plural, await bodyOf(call), user);
      return sendJson(call.response, 201, JSON.stringify(answer));
    }
    const type = this.#parts.registry.byPath(group, resource.version, plural);
    if (type === undefined) {
      // A whole group that is not there is no business of the API machinery's.
      const isServed = this.#parts.registry.all().some((each) => apiVersionOf(each) === apiVersion);
      if (isServed) throw noSuchResource();
      notFoundPage(call.response);
      return;
    }
    const shape = shapeOf(call.incoming.headers.accept);
    const included = (call.query.get('includeObject') as Included | null) ?? 'Metadata';
    await this.#answerResource({ ...call, resource, verb, type, user, shape, included });
  }

  /** `kubectl --as`: only for those who may. */
  #impersonated(caller: UserInfo, { headers }: IncomingMessage): UserInfo {
    const name = headers['impersonate-user'];
    if (typeof name !== 'string' || name === '') return caller;
    const check = (resource: string, each: string): void =>
      this.#parts.rbac.check(caller, {
        verb: 'impersonate',
        group: '',
        resource,
        subresource: null,
        namespace: null,
        name: each,
      });
    check('users', name);
    const groups = String(headers['impersonate-group'] ?? '')
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
    for (const group of groups) check('groups', group);
    const account = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name);
    const own = account === null ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
    return { username: name, groups: [...groups, ...own, 'system:authenticated'] };
  }

  #answerPath({ path, method, incoming, response }: Call): void {
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed();
    if (isHealth.test(path)) {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
      return;
    }
    const types = this.#parts.registry.all();
    const accept = incoming.headers.accept ?? '';
    const answer =
      path === '/version'
        ? kubernetesVersion
        : path === '/openid/v1/jwks'
          ? this.#parts.jwks()
          : path === '/.well-known/openid-configuration'
            ? openIdDocument(this.#parts.issuerUrl)
            : (discoveryAnswer(path, accept, types) ?? openApiAnswer(path, types));
    if (answer === null) {
      notFoundPage(response);
      return;
    }
    const isAggregated = (answer as { kind?: string }).kind === 'APIGroupDiscoveryList';
    const type = isAggregated
      ? 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
      : 'application/json';
    response.writeHead(200, { 'content-type': type, vary: 'Accept' }).end(JSON.stringify(answer));
  }

  async #answerResource(call: ResourceCall): Promise<void> {
    const { type, resource, verb, query } = call;
    if (type.namespaced && resource.namespace === null && (resource.name !== null || verb === 'create')) {
      throw verb === 'create' ? methodNotAllowed() : noSuchResource();
    }
    if (!type.namespaced && resource.namespace !== null) throw noSuchResource();
    if (isPortForward(resource)) {
      this.#parts.reader.get(type, resource.namespace ?? '', resource.name ?? '');
      throw badRequest('Upgrade request required');
    }
    checkSubresource(call);
    if (resource.subresource === 'scale') return await this.#scale(call);
    if (resource.subresource === 'log') return await this.#log(call);
    switch (verb) {
      case 'get': {
        this.#parts.reader.checkNotNewer(query);
        return this.#send(call, 200, this.#parts.reader.get(type, resource.namespace ?? '', resource.name ?? ''));
      }
      case 'list': {
        const page = this.#parts.reader.list(type, resource.namespace, query);
        return sendJson(call.response, 200, this.#parts.presenter.listJson(type, page, call.shape, call.included));
      }
      case 'watch':
        return this.#watch(call);
      case 'create':
        return await this.#create(call);
      case 'update': {
        const object = await this.#parts.writer.replace(this.#write(call), resource.name ?? '', await bodyOf(call));
        return this.#send(call, 200, object);
      }
      case 'patch':
        return await this.#patch(call);
      case 'delete':
        return await this.#delete(call);
      case 'deletecollection':
        return await this.#deleteAll(call);
    }
  }

  /** Pieces of text as they come, until the log ends or the caller leaves. */
  async #log({ resource, query, response }: ResourceCall): Promise<void> {
    const { containers } = this.#parts;
    if (containers === null) throw noSuchResource();
    const request = logRequest(resource.namespace ?? '', resource.name ?? '', query);
    const left = new AbortController();
    response.on('close', () => left.abort());
    for await (const piece of containers.logs(request, left.signal)) {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/plain' });
      if (!response.write(piece)) await once(response, 'drain', { signal: left.signal });
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/plain' });
    response.end();
  }

  #watch(call: ResourceCall): void {
    const { type, resource, query, shape, included, response } = call;
    const asked = new URLSearchParams(query);
    if (resource.name !== null) asked.append('fieldSelector', `metadata.name=${resource.name}`);
    const matches = predicateOf(type, resource.namespace, asked);
    this.#parts.watch({ type, namespace: resource.namespace, query, shape, included, matches }, response);
  }

  async #create(call: ResourceCall): Promise<void> {
    const { type, resource, response } = call;
    const body = await bodyOf(call);
    if (resource.subresource === 'token') {
      const answer = this.#parts.reviews.token(type, resource.namespace ?? '', resource.name ?? '', body);
      return sendJson(response, 201, JSON.stringify(answer));
    }
    if (resource.name !== null) throw methodNotAllowed();
    const write = this.#write(call);
    this.#send(call, 201, await this.#parts.writer.create(write, body), write.warnings);
  }

  async #patch(call: ResourceCall): Promise<void> {
    const { type, resource, incoming } = call;
    const name = resource.name ?? '';
    const kind = (incoming.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    const text = await readBody(incoming);
    const patch = bodyValue(text, kind === 'application/apply-patch+yaml' ? 'application/yaml' : 'application/json');
    const write = this.#write(call);
    if (kind === 'application/apply-patch+yaml') return await this.#apply(call, write, patch);
    const change = patchOf(kind, patch, type);
    const object = await this.#parts.writer.update(write, name, (current) => {
      const changed = objectOfBody(change(this.#parts.presenter.view(type, current)), type, resource.namespace);
      if (changed.metadata.name !== name) throw badRequest('metadata.name cannot be changed by a patch');
      return changed;
    });
    this.#send(call, 200, object, write.warnings);
  }

  async #scale(call: ResourceCall): Promise<void> {
    const { type, resource, verb, incoming, response } = call;
    const [namespace, name] = [resource.namespace ?? '', resource.name ?? ''];
    if (verb === 'get') {
      return sendJson(response, 200, JSON.stringify(scaleOf(this.#parts.reader.get(type, namespace, name))));
    }
    const body = bodyValue(await readBody(incoming), 'application/json');
    const kind = (incoming.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    const change = verb === 'update' ? () => body : patchOf(kind, body, type);
    const write = { ...this.#write(call), subresource: null };
    const object = await this.#parts.writer.update(write, name, (current) =>
      scaledTo(current, change(scaleOf(current))),
    );
    sendJson(response, 200, JSON.stringify(scaleOf(object)));
  }

  async #apply(call: ResourceCall, write: WriteRequest, body: unknown): Promise<void> {
    const { type, resource, query } = call;
    const { writer, reader, now } = this.#parts;
    const name = resource.name ?? '';
    const manager = query.get('fieldManager') ?? '';
    if (manager === '') {
      const message = 'Required value: is required for apply patch';
      const causes = [{ reason: 'FieldValueRequired', message, field: 'fieldManager' }];
      const text = `PatchOptions.meta.k8s.io "" is invalid: fieldManager: ${message}`;
      throw new ApiFailure(422, 'Invalid', text, { group: 'meta.k8s.io', kind: 'PatchOptions', causes });
    }
    const config = objectOfBody(body, type, resource.namespace);
    if (config.metadata.name !== undefined && config.metadata.name !== name)
      throw badRequest(`the name of the object (${config.metadata.name}) does not match the name on the URL (${name})`);
    const named = { ...config, metadata: { ...config.metadata, name } };
    const options = {
      type,
      manager,
      apiVersion: apiVersionOf(type),
      subresource: resource.subresource,
      time: rfc3339(now()),
      force: isTrue(query.get('force')),
    };
    if (reader.find(type, resource.namespace ?? '', name) === undefined) {
      if (resource.subresource !== null) reader.get(type, resource.namespace ?? '', name);
      const fresh = applied(null, named, options);
      return this.#send(call, 201, await writer.create(write, fresh, true), write.warnings);
    }
    const object = await writer.update(write, name, (current) => applied(current, named, options), true);
    this.#send(call, 200, object, write.warnings);
  }

  async #delete(call: ResourceCall): Promise<void> {
    const { type, resource } = call;
    const name = resource.name ?? '';
    const before = this.#parts.reader.find(type, resource.namespace ?? '', name);
    const left = await this.#parts.writer.delete(this.#write(call), name, await deleteOptions(call));
    if (left !== null) return this.#send(call, 200, left);
    if (before !== undefined && returnsObject(type)) return this.#send(call, 200, before);
    const group = type.group === '' ? {} : { group: type.group };
    const uid = before?.metadata.uid === undefined ? {} : { uid: before.metadata.uid };
    const details = { name, ...group, kind: type.plural, ...uid };
    const status: StatusObject = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
    sendJson(call.response, 200, JSON.stringify(status));
  }

  async #deleteAll(call: ResourceCall): Promise<void> {
    const { type, resource, query } = call;
    const options = await deleteOptions(call);
    const page = this.#parts.reader.list(type, resource.namespace, query);
    for (const { metadata } of page.items) {
      const write = { ...this.#write(call), namespace: metadata.namespace ?? null };
      await this.#parts.writer.delete(write, metadata.name, options);
    }
    sendJson(call.response, 200, this.#parts.presenter.listJson(type, page, call.shape, call.included));
  }

  #write({ type, resource, user, query, incoming }: ResourceCall): WriteRequest {
    const agent = String(incoming.headers['user-agent'] ?? 'unknown').split('/')[0] ?? 'unknown';
    const validation = query.get('fieldValidation') ?? 'Warn';
    return {
      type,
      namespace: resource.namespace,
      subresource: resource.subresource,
      user,
      manager: query.get('fieldManager') ?? (agent === '' ? 'unknown' : agent),
      isDryRun: query.get('dryRun') === 'All',
      fieldValidation: validation === 'Strict' || validation === 'Ignore' ? validation : 'Warn',
      warnings: [],
    };
  }

  #send(call: ResourceCall, status: number, object: KubeObject, warnings: readonly string[] = []): void {
    const { type, shape, included } = call;
    for (const warning of warnings) call.response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`);
    sendJson(call.response, status, this.#parts.presenter.json(type, object, shape, included));
  }
}

/** Namespaces are judged as if they lived in themselves. */
function namespaceOf({ group, plural, namespace, name }: ResourcePath): string | null {
  return group === '' && plural === 'namespaces' ? name : namespace;
}

function checkSubresource({ type, resource, verb }: ResourceCall): void {
  const { subresource } = resource;
  if (subresource === null) return;
  if (subresource === 'status' && type.hasStatus) {
    if (verb === 'get' || verb === 'update' || verb === 'patch') return;
    throw methodNotAllowed();
  }
  if (subresource === 'scale' && hasScale(type)) {
    if (verb === 'get' || verb === 'update' || verb === 'patch') return;
    throw methodNotAllowed();
  }
  if (subresource === 'log' && type.kind === 'Pod' && type.group === '') {
    if (verb === 'get') return;
    throw methodNotAllowed();
  }
  const isAccount = type.kind === 'ServiceAccount' && type.group === '';
  if (subresource === 'token' && isAccount) {
    if (verb === 'create') return;
    throw methodNotAllowed();
  }
  throw noSuchResource();
}

/** Kinds whose deletion is answered with what was there. */
function returnsObject({ group, kind }: ResourceType): boolean {
  return group === '' && (kind === 'Pod' || kind === 'ServiceAccount' || kind === 'Service');
}

function patchOf(kind: string, patch: unknown, type: ResourceType): (view: KubeObject) => unknown {
  switch (kind) {
    case 'application/json-patch+json':
      return (view) => jsonPatch(view, patch);
    case 'application/merge-patch+json':
      return (view) => mergePatch(view, patch);
    case 'application/strategic-merge-patch+json':
      if (type.isCustom) break;
      return (view) => strategicPatch(view, patch, rootPlace(type));
  }
  const types = [
    'application/json-patch+json',
    'application/merge-patch+json',
    ...(type.isCustom ? [] : ['application/strategic-merge-patch+json']),
    'application/apply-patch+yaml',
  ];
  const message = `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`;
  throw new ApiFailure(415, 'UnsupportedMediaType', message);
}

async function bodyOf(call: Call): Promise<unknown> {
  return bodyValue(await readBody(call.incoming), call.incoming.headers['content-type']);
}

async function deleteOptions(call: ResourceCall): Promise<DeleteOptions> {
  const body = ((await bodyOf(call)) ?? {}) as DeleteOptions;
  const { query } = call;
  const graceS = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy') as Exclude<DeleteOptions['propagationPolicy'], undefined> | null;
  return {
    ...body,
    ...(graceS === null ? {} : { gracePeriodSeconds: Number(graceS) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
  };
}

function openIdDocument(issuer: string): object {
  return {
    issuer,
    jwks_uri: `${issuer}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  };
}

function notFoundPage(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
}

function sendJson(response: ServerResponse, status: number, json: string): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${json}\n`);
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const failure = error instanceof ApiFailure ? error : unexpected(error);
  const retryAfterS = failure.status.details?.retryAfterSeconds;
  if (retryAfterS !== undefined) response.setHeader('retry-after', String(retryAfterS));
  // What is left of the body is not read any more, so the connection is of no further use.
  if (!response.req.complete) response.setHeader('connection', 'close');
  sendJson(response, failure.httpStatus, JSON.stringify(failure.status));
}

function unexpected(error: unknown): ApiFailure {
  const known = MeshError.from(error);
  return new ApiFailure(500, 'InternalError', `Internal error occurred: ${known.message}`);
}
