// Validating admission webhooks: those whose rules match are asked at once; what one refuses is refused. Mutating ones
// are stored and not called.
import { randomUUID } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { nodeHttps } from '../../base/node-http.ts';
import { type EndpointSlice, type KubeObject, type LabelSelector, matches } from '../objects.ts';
import type { ObjectStore } from '../store.ts';
import { ApiFailure, type StatusObject } from './failure.ts';
import { apiVersionOf } from './resources.ts';
import { isFields } from './structural-schema.ts';
import type { Operation, WriteRequest } from './writer.ts';

interface Webhook {
  readonly name: string;
  readonly clientConfig: {
    readonly url?: string;
    readonly service?: {
      readonly namespace: string;
      readonly name: string;
      readonly path?: string;
      readonly port?: number;
    };
    readonly caBundle?: string;
  };
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly apiVersions: readonly string[];
    readonly operations: readonly string[];
    readonly resources: readonly string[];
    readonly scope?: string;
  }[];
  readonly failurePolicy?: 'Ignore' | 'Fail';
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly timeoutSeconds?: number;
}

interface Verdict {
  readonly allowed: boolean;
  readonly status?: Pick<StatusObject, 'code' | 'message' | 'reason' | 'details'>;
  readonly warnings?: readonly string[];
}

/** Where to reach a service's port; null when nobody is behind it. */
export type ServiceAddress = (namespace: string, name: string, port: number) => { host: string; port: number } | null;

const group = 'admissionregistration.k8s.io';
const timeoutDefaultS = 10;
const answerBytesMax = 1024 * 1024;

/** Asks the webhooks of a store. */
export class Webhooks {
  readonly #store: ObjectStore;
  readonly #address: ServiceAddress;

  constructor(store: ObjectStore, address: ServiceAddress) {
    this.#store = store;
    this.#address = address;
  }

  /**
   * Resolves when nobody refuses; null when nobody has to be asked. Rejects with the refusal of a webhook, or with 500
   * when one that must be asked cannot.
   */
  ask(
    request: WriteRequest,
    operation: Operation,
    object: KubeObject | null,
    previous: KubeObject | null,
  ): Promise<void> | null {
    if (request.type.group === group) return null;
    const configurations = this.#store.list('ValidatingWebhookConfiguration', undefined, group);
    const hooks = configurations
      .flatMap((each) => (each as { webhooks?: readonly Webhook[] }).webhooks ?? [])
      .filter((hook) => this.#isAsked(hook, request, operation, [object, previous]));
    if (hooks.length === 0) return null;
    return this.#askAll(hooks, request, operation, object, previous);
  }

  async #askAll(
    hooks: readonly Webhook[],
    request: WriteRequest,
    operation: Operation,
    object: KubeObject | null,
    previous: KubeObject | null,
  ): Promise<void> {
    const verdicts = await Promise.allSettled(
      hooks.map((hook) => this.#call(hook, reviewOf(request, operation, object, previous))),
    );
    for (const [at, verdict] of verdicts.entries()) {
      const { name, failurePolicy = 'Fail' } = hooks[at] as Webhook;
      if (verdict.status === 'rejected') {
        if (failurePolicy === 'Ignore') continue;
        const reason = messageOf(verdict.reason);
        const why = `failed calling webhook ${JSON.stringify(name)}: failed to call webhook: ${reason}`;
        throw new ApiFailure(500, 'InternalError', `Internal error occurred: ${why}`, { causes: [{ message: why }] });
      }
      request.warnings.push(...(verdict.value.warnings ?? []));
      if (!verdict.value.allowed) throw denial(name, verdict.value);
    }
  }

  #isAsked(
    hook: Webhook,
    { type, namespace, subresource }: WriteRequest,
    operation: Operation,
    objects: readonly (KubeObject | null)[],
  ): boolean {
    const resource = subresource === null ? type.plural : `${type.plural}/${subresource}`;
    const isRuled = (hook.rules ?? []).some(
      (rule) =>
        holds(rule.apiGroups, type.group) &&
        holds(rule.apiVersions, type.version) &&
        holds(rule.operations, operation) &&
        (holds(rule.resources, resource) || (subresource === null ? false : rule.resources.includes('*/*'))) &&
        ((rule.scope ?? '*') === '*' || (rule.scope === 'Namespaced') === type.namespaced),
    );
    if (!isRuled) return false;
    const there = objects.filter((object) => object !== null);
    if (!there.some((object) => matches(hook.objectSelector ?? {}, object.metadata.labels))) return false;
    const isNamespace = type.kind === 'Namespace' && type.group === '';
    if (namespace === null && !isNamespace) return true;
    const around = isNamespace ? there[0] : this.#store.get('Namespace', '', namespace ?? '', '');
    return matches(hook.namespaceSelector ?? {}, around?.metadata.labels);
  }

  async #call({ clientConfig, timeoutSeconds = timeoutDefaultS }: Webhook, review: object): Promise<Verdict> {
    const { url, service, caBundle } = clientConfig;
    const target = url === undefined ? this.#serviceTarget(service) : { url: new URL(url), servername: undefined };
    target.url.searchParams.set('timeout', `${timeoutSeconds}s`);
    const ca = caBundle === undefined ? {} : { ca: Buffer.from(caBundle, 'base64').toString('utf8') };
    const name = target.servername === undefined ? {} : { servername: target.servername };
    const answer = await post(target.url, review, { ...ca, ...name }, timeoutSeconds * 1000);
    const response = isFields(answer) ? answer.response : undefined;
    if (!isFields(response) || typeof response.allowed !== 'boolean')
      throw new WebhookError('the answer has no verdict');
    const { uid } = (review as { request: { uid: string } }).request;
    if (response.uid !== uid) throw new WebhookError(`expected response.uid=${uid}, got ${String(response.uid)}`);
    return response as unknown as Verdict;
  }

  #serviceTarget(service: Webhook['clientConfig']['service']): { url: URL; servername: string } {
    if (service === undefined) throw new WebhookError('the webhook has neither url nor service');
    const { namespace, name, path = '/', port = 443 } = service;
    if (this.#store.get('Service', namespace, name, '') === undefined)
      throw new WebhookError(`service ${JSON.stringify(name)} not found`);
    const found = this.#address(namespace, name, port);
    if (found === null) throw new WebhookError(`no endpoints available for service ${JSON.stringify(name)}`);
    const host = found.host.includes(':') ? `[${found.host}]` : found.host;
    return { url: new URL(path, `https://${host}:${found.port}`), servername: `${name}.${namespace}.svc` };
  }
}

/** Why a webhook could not be asked. */
class WebhookError extends ApiFailure {
  constructor(reason: string) {
    super(500, 'InternalError', reason);
    this.message = reason;
  }
}

/** Addresses from the EndpointSlices of a store. */
export function endpointAddress(store: ObjectStore): ServiceAddress {
  return (namespace, name, port) => {
    const service = store.get('Service', namespace, name, '') as
      | { spec?: { ports?: readonly { port: number; name?: string }[] } }
      | undefined;
    const named = service?.spec?.ports?.find((each) => each.port === port);
    for (const slice of store.list<EndpointSlice>('EndpointSlice', namespace)) {
      if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue;
      const target = slice.ports?.find((each) => (each.name ?? '') === (named?.name ?? ''))?.port;
      const host = slice.endpoints.find(({ conditions }) => conditions?.ready !== false)?.addresses[0];
      if (target !== undefined && host !== undefined) return { host, port: target };
    }
    return null;
  };
}

function reviewOf(
  request: WriteRequest,
  operation: Operation,
  object: KubeObject | null,
  previous: KubeObject | null,
): object {
  const { type, namespace, subresource, user, isDryRun } = request;
  const { group: own, version, kind, plural } = type;
  const shown = (each: KubeObject | null): KubeObject | null =>
    each === null ? null : { ...each, apiVersion: apiVersionOf(type) };
  const gvk = { group: own, version, kind };
  const gvr = { group: own, version, resource: plural };
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: randomUUID(),
      kind: gvk,
      resource: gvr,
      requestKind: gvk,
      requestResource: gvr,
      ...(subresource === null ? {} : { subResource: subresource, requestSubResource: subresource }),
      name: (object ?? previous)?.metadata.name,
      ...(namespace === null ? {} : { namespace }),
      operation,
      userInfo: user,
      object: shown(object),
      oldObject: shown(previous),
      dryRun: isDryRun,
      options: null,
    },
  };
}

function denial(name: string, { status = {} }: Verdict): ApiFailure {
  const { code = 0, message = '', reason, details } = status;
  const why = message !== '' ? `: ${message}` : reason !== undefined ? `: ${reason}` : ' without explanation';
  const text = `admission webhook ${JSON.stringify(name)} denied the request${why}`;
  return new ApiFailure(Math.max(code, 400), reason, text, details);
}

function holds(words: readonly string[], word: string): boolean {
  return words.includes('*') || words.includes(word);
}

function post(url: URL, body: object, tls: { ca?: string; servername?: string }, timeoutMs: number): Promise<unknown> {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const request = nodeHttps.request(url, { method: 'POST', headers, agent: false, ...tls }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) request.destroy(new WebhookError('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        if (status !== 200) return reject(new WebhookError(`an answer of status ${status}`));
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error);
        }
      });
    });
    const timer = setTimeout(() => request.destroy(new WebhookError('context deadline exceeded')), timeoutMs);
    request.on('close', () => clearTimeout(timer));
    request.on('error', reject);
    request.end(text);
  });
}
