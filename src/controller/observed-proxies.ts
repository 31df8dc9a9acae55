// What the controller asks its proxies on behalf of whoever asks the controller: one of them, or all for their flows.
import { MeshError } from '../base/errors.ts';
import { merged } from '../base/line-streams.ts';
import type { ObservedProxy, ObserveServer } from '../discovery/observe-server.ts';
import { lines, type SimpleResponse } from '../telemetry/metrics-server.ts';

type Observed = Pick<ObserveServer, 'proxies'>;

/** One proxy that can be asked; a line of `GET /proxies`. `path` is what stands before the path of its admin port. */
export interface ObservedProxyView {
  readonly kind: 'node' | 'waypoint';
  /** Its node, or `NAMESPACE/NAME` of its Gateway. */
  readonly name: string;
  readonly pod: string;
  readonly node: string;
  readonly version: string;
  readonly path: string;
}

/** The answer to `GET /proxies`: those that are connected to this replica. */
export function proxiesView(observed: Observed): { readonly proxies: readonly ObservedProxyView[] } {
  return { proxies: observed.proxies().map(observedView) };
}

/**
 * Answers `/proxies/node/NODE/…`, `/proxies/waypoint/NAMESPACE/NAME/…` and `/proxies/pod/NAMESPACE/NAME/…` as the admin
 * port of that proxy answers `/…`. Rejects with NOT_FOUND for a proxy that is not connected to this replica.
 */
export async function askProxy(
  observed: Observed,
  method: string,
  url: URL,
  signal: AbortSignal,
): Promise<SimpleResponse> {
  const [, , kind = '', ...words] = url.pathname.split('/').map(decodeURIComponent);
  const name = words.splice(0, kind === 'node' ? 1 : 2).join('/');
  const proxy = observed.proxies().find((one) => isMeant(observedView(one), kind, name));
  if (proxy === undefined) {
    const among = observed.proxies().map((one) => observedView(one).path);
    const hint = among.length === 0 ? 'no proxy is connected to this replica' : `connected here: ${among.join(', ')}`;
    throw new MeshError('NOT_FOUND', { what: `${kind}/${name}`, hint });
  }
  return proxy.ask(`${method} /${words.map(encodeURIComponent).join('/')}${url.search}`, signal);
}

/** Lines of `FlowView` of every proxy that is connected, of each in its order; `last`, `follow` as at a proxy. */
export function flowsOfAll(observed: Observed, url: URL, signal: AbortSignal): SimpleResponse {
  const asked = observed.proxies().map((proxy) => proxy.ask(`GET /flows${url.search}`, signal));
  return lines(merged(asked.map(wholeLines)));
}

/** The answer of a proxy in pieces of whole lines. A proxy that does not answer, or goes, has no more to say. */
export async function* wholeLines(asked: Promise<SimpleResponse>): AsyncGenerator<string> {
  try {
    const { status, body, stream } = await asked;
    if (status !== 200) return;
    let rest = '';
    for await (const piece of withBody(body, stream)) {
      const text = rest + piece;
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      if (end > 0) yield text.slice(0, end);
    }
  } catch {
    // It has gone: the others have not.
  }
}

async function* withBody(body: string, stream: AsyncIterable<string> | undefined): AsyncIterable<string> {
  yield body;
  if (stream !== undefined) yield* stream;
}

/** What a proxy answers to `GET PATH`, parsed; null where it does not answer, or knows no such path. */
export async function answerOf(proxy: Pick<ObservedProxy, 'ask'>, path: string): Promise<unknown> {
  try {
    const { status, body, stream } = await proxy.ask(`GET ${path}`);
    let text = body;
    if (stream !== undefined) for await (const piece of stream) text += piece;
    return status === 200 ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** The line of a proxy. */
export function observedView({ node }: ObservedProxy): ObservedProxyView {
  const { kind, namespace, nodeName, version } = node;
  const name = kind === 'node' ? nodeName : (node.waypoint ?? '');
  return { kind, name, pod: `${namespace}/${node.name}`, node: nodeName, version, path: `/proxies/${kind}/${name}` };
}

function isMeant(view: ObservedProxyView, kind: string, name: string): boolean {
  return kind === 'pod' ? view.pod === name : view.kind === kind && view.name === name;
}
