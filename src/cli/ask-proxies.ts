// Asks proxies themselves, each by the controller that it is connected to, all at once and none for long: one that
// hangs is named instead of being waited for.
import { MeshError, messageOf } from '../base/errors.ts';
import type { ObservedProxyView } from '../controller/observed-proxies.ts';
import type { Mesh } from './mesh.ts';

/** What one proxy said: an answer, or why there is none. */
export interface ProxyAnswer<Answer> {
  readonly proxy: ObservedProxyView;
  readonly answer: Answer | null;
  readonly problem: string | null;
}

/** So long a part may take; as a rule it answers in some milliseconds. */
export const askDeadlineMs = 4_000;

/** The proxies that are connected to a controller. Rejects when no controller answers. */
export async function connectedProxies(mesh: Mesh): Promise<readonly ObservedProxyView[]> {
  const view = (await within(mesh.admin({ kind: 'controller', name: '' }, '/proxies'), 'the controller')) as {
    readonly proxies?: readonly ObservedProxyView[];
  };
  return view.proxies ?? [];
}

/** Asks each of `proxies` for `path` of its admin port, every pod of a waypoint by itself. Never rejects. */
export function askProxies<Answer>(
  mesh: Mesh,
  proxies: readonly ObservedProxyView[],
  path: string,
): Promise<ProxyAnswer<Answer>[]> {
  const ask = async (proxy: ObservedProxyView): Promise<ProxyAnswer<Answer>> => {
    try {
      const asked = mesh.admin({ kind: 'controller', name: '' }, `/proxies/pod/${proxy.pod}${path}`);
      return { proxy, answer: (await within(asked, proxy.name)) as Answer, problem: null };
    } catch (error) {
      return { proxy, answer: null, problem: messageOf(error) };
    }
  };
  return Promise.all(proxies.map(ask));
}

/** Rejects with TIMED_OUT when `asked` takes longer than `timeoutMs`, as a rule what a proxy may take. */
export async function within<Answer>(
  asked: Promise<Answer>,
  what: string,
  timeoutMs: number = askDeadlineMs,
): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const hint = 'nothing waits for it any more';
  const timer = setTimeout(() => reject(new MeshError('TIMED_OUT', { what, timeoutMs, hint })), timeoutMs);
  asked.catch(() => {}); // it may fail when nobody waits any more
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
