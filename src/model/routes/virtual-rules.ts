// One http rule of a VirtualService, compiled for one port of the service that it is about (l7.md §3.2).
import { didYouMean } from '../../base/nearest-name.ts';
import type { FindingCode } from '../finding-codes.ts';
import type { IssueList } from '../issues.ts';
import type { ResourcePath } from '../resources.ts';
import type { VirtualDestination, VirtualRedirect, VirtualRule, VirtualServiceResource } from '../route-resources.ts';
import type { Mirror, RetryPolicy, Rewrite, RouteAction, RouteRule, WeightedBackend } from '../route-types.ts';
import type { Sought } from '../types.ts';
import { postWarning } from './gateway-rules.ts';
import { mayRepeatPost, retryConditions, retryOptions } from './retry-options.ts';
import { backoffMaxFactor, defaultBackoffBaseMs, defaultRetry, defaultRetryOn, plainRule } from './route-defaults.ts';
import { policiesOfRule } from './route-policies.ts';
import type { RouteScope } from './route-scope.ts';
import { resolveDestination, soughtHost, soughtSubset } from './virtual-backends.ts';

/** A rule with where it was written: its own VirtualService, or a delegate. */
export interface PlacedRule {
  readonly rule: VirtualRule;
  readonly resource: VirtualServiceResource;
  /** Counts from 0 as written there. */
  readonly at: number;
}

/** Conditions that a POST which has left could have been processed under. */
const unsafeConditions: readonly string[] = [
  '5xx',
  'gateway-error',
  'reset',
  'retriable-status-codes',
  'retriable-4xx',
];

/** Compiles a rule; findings about it go to `list` where there is one. */
export function compileVirtualRule(
  placed: PlacedRule,
  port: number,
  scope: RouteScope,
  list: IssueList | null,
): RouteRule {
  return new VirtualRuleCompiler(placed, port, scope, list).compile();
}

class VirtualRuleCompiler {
  readonly #placed: PlacedRule;
  readonly #port: number;
  readonly #scope: RouteScope;
  readonly #list: IssueList | null;
  readonly #path: ResourcePath;

  constructor(placed: PlacedRule, port: number, scope: RouteScope, list: IssueList | null) {
    this.#placed = placed;
    this.#port = port;
    this.#scope = scope;
    this.#list = list;
    this.#path = ['spec', 'http', placed.at];
  }

  compile(): RouteRule {
    const { rule, resource, at } = this.#placed;
    const { kind, namespace, name, places, annotations } = resource;
    const origin = { kind, namespace, name, rule: at, ruleName: rule.name, place: places.at(this.#path) } as const;
    const policies = policiesOfRule(this.#scope, resource, rule.name);
    const requestMs = rule.timeoutMs ?? 0;
    const perTry = rule.retries?.perTryTimeoutMs ?? 0;
    // One that could never be the first to end is none.
    const perTryMs = requestMs > 0 && perTry >= requestMs ? 0 : perTry;
    return {
      ...plainRule(origin, []),
      action: this.#action(),
      requestHeaders: rule.requestHeaders,
      responseHeaders: rule.responseHeaders,
      rewrite: rewriteOf(rule),
      mirrors: this.#mirrors(),
      cors: rule.cors,
      fault: rule.fault,
      timeouts: { requestMs, perTryMs, idleMs: policies.idleTimeoutMs, maxStreamMs: policies.maxStreamMs },
      retry: this.#retry(retryOptions(annotations, policies.traffic), perTryMs),
      rateLimits: policies.rateLimits,
    };
  }

  #action(): RouteAction {
    const { rule } = this.#placed;
    if (rule.redirect !== null) return { kind: 'redirect', redirect: redirectOf(rule.redirect) };
    if (rule.direct !== null) return { kind: 'direct', ...rule.direct, contentType: 'text/plain' };
    const backends = rule.route.map((one, at): WeightedBackend => {
      const backend = resolveDestination(one, this.#placed.resource.namespace, this.#port, this.#scope);
      if (backend.invalid !== null) {
        const path = [...one.path, 'destination'];
        const sought = this.#sought(one.host, [...path, 'host']) ?? this.#soughtSubset(one, [...path, 'subset']);
        this.#warn('AMB0508', one.path, backend.invalid.reason, 'its share of the requests gets 503', sought);
      }
      if (one.authority !== null && rule.route.length > 1) {
        const message = `the authority of destination ${at} is not set: it can only be set for all destinations`;
        this.#warn('AMB0509', [...one.path, 'headers'], message, 'use rewrite.authority, or rules of their own');
      }
      const { requestHeaders, responseHeaders } = one;
      // With one destination its weight says nothing.
      return { ...backend, weight: rule.route.length === 1 ? 1 : one.weight, requestHeaders, responseHeaders };
    });
    if (backends.some((one) => one.weight > 0)) return { kind: 'forward', backends };
    this.#warn(
      'AMB0407',
      [...this.#path, 'route'],
      'all weights are 0',
      'its requests get 500; give one destination a weight',
    );
    return { kind: 'invalid', status: 500, reason: 'all destinations have weight 0' };
  }

  #mirrors(): Mirror[] {
    const { rule, resource } = this.#placed;
    return rule.mirrors.flatMap((mirror) => {
      const backend = resolveDestination(mirror, resource.namespace, this.#port, this.#scope);
      if (backend.invalid === null) return [{ backend, fraction: mirror.fraction, shadowSuffix: true }];
      const sought = this.#sought(mirror.host, [...mirror.path, 'host']);
      const message = `the mirror leads nowhere: ${backend.invalid.reason}`;
      this.#warn('AMB0410', mirror.path, message, 'nothing is mirrored', sought);
      return [];
    });
  }

  #retry(options: ReturnType<typeof retryOptions>, perTryTimeoutMs: number): RetryPolicy {
    const { rule } = this.#placed;
    const { retries } = rule;
    if (retries === null) return { ...defaultRetry, ...options };
    const words = retries.retryOn ?? defaultRetryOn;
    const statuses = words.filter((word) => /^[1-5]\d\d$/.test(word)).map(Number);
    const named = words.filter((word) => !/^[1-5]\d\d$/.test(word));
    const path = [...this.#path, 'retries', 'retryOn'];
    for (const word of named) {
      if (retryConditions.includes(word)) continue;
      const fix = `use ${retryConditions.join(', ')}, or a status${didYouMean(word, retryConditions)}`;
      const sought: Sought = { kind: 'name', name: word, among: retryConditions, path };
      this.#warn('AMB0510', path, `${word} is no condition that is known`, fix, sought);
    }
    const retryOn = [...new Set([...named, ...(statuses.length > 0 ? ['retriable-status-codes'] : [])])];
    const unsafe =
      retries.retryOn === null ? [] : words.filter((word) => unsafeConditions.includes(word) || /^\d/.test(word));
    const isPost = rule.matches.length === 0 || rule.matches.some((match) => mayRepeatPost(methodsOf(match.method)));
    if (retries.attempts > 0 && unsafe.length > 0 && isPost && !options.nonIdempotent) {
      this.#warn('AMB0411', path, ...postWarning(`retryOn ${unsafe.join(',')}`));
    }
    const base = retries.backoffMs ?? defaultBackoffBaseMs;
    const backoff = { backoffBaseMs: base, backoffMaxMs: base * backoffMaxFactor };
    return { ...options, ...backoff, attempts: retries.attempts, perTryTimeoutMs, retryOn, statuses, from: 'route' };
  }

  #soughtSubset(destination: VirtualDestination, path: ResourcePath): Sought | null {
    return soughtSubset(destination, this.#placed.resource.namespace, path, this.#scope);
  }

  #sought(host: string, path: ResourcePath): Sought | null {
    return soughtHost(host, this.#placed.resource.namespace, path, this.#scope);
  }

  #warn(code: FindingCode, path: ResourcePath, message: string, fix: string, sought?: Sought | null): void {
    this.#list?.add(code, path, message, fix, sought);
  }
}

/** The methods that a match may admit; null for any. */
function methodsOf(match: VirtualRule['matches'][number]['method']): readonly string[] | null {
  return match?.kind === 'exact' ? [match.value] : null;
}

function rewriteOf(rule: VirtualRule): Rewrite | null {
  const { rewrite } = rule;
  const only = rule.route.length === 1 ? rule.route[0]!.authority : null;
  const authority = rewrite?.authority ?? rule.authority ?? only;
  if (rewrite?.regex != null) return { authority, path: { kind: 'regex', ...rewrite.regex } };
  if (rewrite?.uri != null) return { authority, path: { kind: 'prefix', value: rewrite.uri } };
  return authority === null ? null : { authority, path: null };
}

function redirectOf(redirect: VirtualRedirect): Extract<RouteAction, { kind: 'redirect' }>['redirect'] {
  const { scheme, authority, port, path, status } = redirect;
  return { scheme, authority, port, path, status };
}
