// The rules of an HTTPRoute or GRPCRoute, compiled: what a request that matches meets. They are the same whichever
// service the route is attached to.
import type { FindingCode } from '../finding-codes.ts';
import type { IssueList } from '../issues.ts';
import type { ResourcePath } from '../resources.ts';
import { type GatewayRouteResource, type GatewayRule, noEdits, type RouteFilter } from '../route-resources.ts';
import type {
  BackendFilters,
  Mirror,
  Redirect,
  RetryPolicy,
  RouteAction,
  RouteRule,
  WeightedBackend,
} from '../route-types.ts';
import type { Sought } from '../types.ts';
import { type RefReason, resolveBackend } from './gateway-backends.ts';
import { mayRepeatPost, retryOptions } from './retry-options.ts';
import {
  backoffMaxFactor,
  defaultAttempts,
  defaultBackoffBaseMs,
  defaultRetry,
  plainRule,
  safeRetryOn,
} from './route-defaults.ts';
import { policiesOfRule } from './route-policies.ts';
import type { RouteScope } from './route-scope.ts';

export interface CompiledRules {
  readonly rules: readonly RouteRule[];
  /** What the condition ResolvedRefs says; null when all is found. */
  readonly unresolved: { readonly reason: RefReason; readonly message: string } | null;
  /** Why nothing of the route is done; null when it is accepted. */
  readonly refused: string | null;
}

type Filter<Type extends RouteFilter['type']> = Extract<RouteFilter, { type: Type }>;

/** Compiles every rule of a route; what an author should know goes to `list`. */
export function compileGatewayRules(route: GatewayRouteResource, scope: RouteScope, list: IssueList): CompiledRules {
  return new RuleCompiler(route, scope, list).compile();
}

class RuleCompiler {
  readonly #route: GatewayRouteResource;
  readonly #scope: RouteScope;
  readonly #list: IssueList;
  #unresolved: CompiledRules['unresolved'] = null;
  #refused: string | null = null;

  constructor(route: GatewayRouteResource, scope: RouteScope, list: IssueList) {
    this.#route = route;
    this.#scope = scope;
    this.#list = list;
  }

  compile(): CompiledRules {
    for (const { path, message } of this.#route.unsupported) this.#refuse(path, message);
    const rules = this.#route.rules.map((rule, at) => this.#rule(rule, at));
    return { rules, unresolved: this.#unresolved, refused: this.#refused };
  }

  #rule(rule: GatewayRule, at: number): RouteRule {
    const { kind, namespace, name, places, annotations } = this.#route;
    const path: ResourcePath = ['spec', 'rules', at];
    const origin = { kind, namespace, name, rule: at, ruleName: rule.name, place: places.at(path) } as const;
    const backends = rule.backends.map((one) => this.#backend(one));
    const find = finderIn(rule.filters);
    const rewrite = find('URLRewrite');
    const policies = policiesOfRule(this.#scope, this.#route, rule.name);
    const options = retryOptions(annotations, policies.traffic);
    return {
      ...plainRule(origin, backends),
      grpc: kind === 'GRPCRoute',
      action: this.#action(rule, backends, path),
      requestHeaders: find('RequestHeaderModifier')?.edits ?? noEdits,
      responseHeaders: find('ResponseHeaderModifier')?.edits ?? noEdits,
      rewrite: rewrite === null ? null : { authority: rewrite.hostname, path: rewrite.path },
      mirrors: this.#mirrors(rule.filters, path),
      cors: find('CORS')?.cors ?? null,
      timeouts: {
        requestMs: rule.requestTimeoutMs ?? 0,
        perTryMs: rule.backendTimeoutMs ?? 0,
        idleMs: policies.idleTimeoutMs,
        maxStreamMs: policies.maxStreamMs,
      },
      retry: this.#retry(rule, options, path),
      rateLimits: policies.rateLimits,
    };
  }

  #action(rule: GatewayRule, backends: readonly WeightedBackend[], path: ResourcePath): RouteAction {
    const reason = this.#extension(rule.filters, path, 'its requests get 500');
    if (reason !== null) return { kind: 'invalid', status: 500, reason };
    const redirect = finderIn(rule.filters)('RequestRedirect');
    if (redirect !== null) return { kind: 'redirect', redirect: redirectOf(redirect) };
    if (backends.length === 0) {
      this.#warn('AMB0407', path, 'the rule has no backendRefs', 'its requests get 500; name a Service, or redirect');
      return { kind: 'invalid', status: 500, reason: 'the rule has no backendRefs' };
    }
    if (backends.every((one) => one.weight === 0)) {
      this.#warn(
        'AMB0407',
        [...path, 'backendRefs'],
        'all weights are 0',
        'its requests get 500; give one backend a weight',
      );
      return { kind: 'invalid', status: 500, reason: 'all backends have weight 0' };
    }
    return { kind: 'forward', backends };
  }

  #backend(reference: GatewayRule['backends'][number]): WeightedBackend {
    const { backend, problem } = resolveBackend(reference, this.#route, this.#scope);
    if (problem !== null) {
      this.#unresolved ??= problem;
      const { message, sought } = problem;
      this.#warn('AMB0408', reference.path, message, 'its share of the requests gets 500', sought);
    }
    const { filters, path, weight } = reference;
    const find = finderIn(filters);
    const requestHeaders = find('RequestHeaderModifier')?.edits ?? noEdits;
    const responseHeaders = find('ResponseHeaderModifier')?.edits ?? noEdits;
    const rewrite = find('URLRewrite');
    const redirect = find('RequestRedirect');
    const extension = this.#extension(filters, path, 'its share of the requests gets 500');
    const own: BackendFilters = {
      redirect: redirect === null ? null : redirectOf(redirect),
      rewrite: rewrite === null ? null : { authority: rewrite.hostname, path: rewrite.path },
      mirrors: this.#mirrors(filters, path),
      cors: find('CORS')?.cors ?? null,
    };
    return {
      ...backend,
      ...(extension === null ? {} : { invalid: { status: 500, reason: extension } as const }),
      ...{ weight, requestHeaders, responseHeaders },
      ...((own.redirect ?? own.rewrite ?? own.mirrors[0] ?? own.cors) ? { filters: own } : {}),
    };
  }

  /** Why requests that meet an extension filter get 500: it must never be skipped. Null where there is none. */
  #extension(filters: readonly RouteFilter[], path: ResourcePath, outcome: string): string | null {
    const extension = finderIn(filters)('ExtensionRef');
    if (extension === null) return null;
    const { kind, name } = extension.reference;
    const reason = `the filter ExtensionRef ${kind}/${name} cannot be resolved`;
    this.#warn('AMB0409', [...path, 'filters'], reason, `${outcome}; Ambient has no extension filters`);
    this.#unresolved ??= { reason: 'InvalidKind', message: reason };
    return reason;
  }

  /** A mirror that leads nowhere is left out; the request itself does not suffer. */
  #mirrors(filters: readonly RouteFilter[], path: ResourcePath): Mirror[] {
    const mirrors: Mirror[] = [];
    for (const [at, filter] of filters.entries()) {
      if (filter.type !== 'RequestMirror') continue;
      const { backend, problem } = resolveBackend(filter.backend, this.#route, this.#scope);
      if (problem === null) mirrors.push({ backend, fraction: filter.fraction, shadowSuffix: false });
      else {
        this.#unresolved ??= problem;
        this.#warn(
          'AMB0410',
          [...path, 'filters', at],
          `the mirror leads nowhere: ${problem.message}`,
          'nothing is mirrored',
          problem.sought,
        );
      }
    }
    return mirrors;
  }

  /** Whoever writes `retry` has connection errors and time-outs of a try retried as well (l7.md §1.4.8). */
  #retry(rule: GatewayRule, options: ReturnType<typeof retryOptions>, path: ResourcePath): RetryPolicy {
    const perTryTimeoutMs = rule.backendTimeoutMs ?? 0;
    const { retry } = rule;
    if (retry === null) return { ...defaultRetry, ...options, perTryTimeoutMs };
    const base = retry.backoffMs ?? defaultBackoffBaseMs;
    const statuses = retry.codes;
    const retryOn = [...safeRetryOn, 'reset', ...(statuses.length > 0 ? ['retriable-status-codes'] : [])];
    const isPost = rule.matches.some((match) => mayRepeatPost(match.method === null ? null : [match.method]));
    if (isPost && statuses.length > 0 && !options.nonIdempotent && this.#route.kind === 'HTTPRoute') {
      this.#warn('AMB0411', [...path, 'retry'], ...postWarning(`retry on ${statuses.join(', ')}`));
    }
    const attempts = retry.attempts ?? defaultAttempts;
    const backoff = { backoffBaseMs: base, backoffMaxMs: base * backoffMaxFactor };
    return { ...options, attempts, perTryTimeoutMs, retryOn, statuses, ...backoff, from: 'route' };
  }

  #warn(code: FindingCode, path: ResourcePath, message: string, fix: string, sought?: Sought): void {
    this.#list.add(code, path, message, fix, sought);
  }

  #refuse(path: ResourcePath, message: string): void {
    this.#refused ??= message;
    this.#list.add('AMB0406', path, message, 'the whole route is not applied until this is removed');
  }
}

/** Message and fix for retries that a POST does not get. */
export function postWarning(what: string): [message: string, fix: string] {
  return [
    `${what} does not repeat a POST or PATCH that has left: it could be done twice`,
    'where repeating is safe, say ambient.mesh/retry-non-idempotent: "true", or send an idempotency-key header',
  ];
}

/** Looks a filter up by its type; null where it is not there. */
function finderIn(
  filters: readonly RouteFilter[],
): <Type extends RouteFilter['type']>(type: Type) => Filter<Type> | null {
  return <Type extends RouteFilter['type']>(type: Type) =>
    (filters.find((filter) => filter.type === type) as Filter<Type> | undefined) ?? null;
}

function redirectOf(filter: Filter<'RequestRedirect'>): Redirect {
  const { scheme, hostname, path, status } = filter;
  const port = filter.port ?? (scheme === null ? 'request' : 'scheme');
  return { scheme, authority: hostname, port, path, status };
}
