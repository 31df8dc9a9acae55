// VirtualService: from an object to what the model keeps of it. What Istio's own validation refuses is an error here,
// with its place; what Ambient does not do is kept by name.
import { regexProblem } from '../base/regex.ts';
import type { ResourceMeta } from '../model/resources.ts';
import type {
  Unsupported,
  VirtualBackend,
  VirtualDestination,
  VirtualMirror,
  VirtualRedirect,
  VirtualRetries,
  VirtualRewrite,
  VirtualRule,
  VirtualServiceResource,
  VirtualTcpRule,
} from '../model/route-resources.ts';
import type { CorsPolicy, FaultPolicy } from '../model/route-types.ts';
import { readIstioEdits, readPercent, readStringMatch } from './istio-values.ts';
import type { ObjectReader } from './object-reader.ts';
import { readVirtualMatch } from './read-virtual-match.ts';
import { headText, istioDuration, tokens } from './route-values.ts';

const anyPort = { min: 1, max: 65535 };
const redirectCodes = [301, 302, 303, 307, 308];
const grpcCodes = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
const ruleFields = [
  ...['name', 'match', 'route', 'redirect', 'directResponse', 'delegate', 'rewrite', 'timeout', 'retries', 'fault'],
  ...['mirror', 'mirrorPercentage', 'mirrorPercent', 'mirror_percent', 'mirrors', 'corsPolicy', 'headers'],
];

/** A VirtualService. Throws CONFIG_INVALID with the place of what Istio would refuse. */
export function readVirtualService(object: ObjectReader, meta: ResourceMeta): VirtualServiceResource {
  const spec = object.object('spec');
  spec.only(['hosts', 'gateways', 'http', 'tls', 'tcp', 'exportTo']);
  const unsupported: Unsupported[] = [];
  const hosts = spec.strings('hosts');
  const isDelegate = hosts.length === 0;
  if (isDelegate && (spec.has('tls') || spec.has('tcp') || !spec.has('http'))) {
    spec.fail('hosts', 'must name a host (only a delegate has none, and it has nothing but http)');
  }
  return {
    ...meta,
    kind: 'VirtualService',
    hosts,
    gateways: spec.has('gateways') ? spec.strings('gateways') : [],
    exportTo: spec.strings('exportTo'),
    http: spec.objects('http').map((rule) => new RuleReader(rule, meta.namespace, isDelegate, unsupported).read()),
    tcp: [
      ...spec.objects('tls').map((rule) => readTcpRule(rule, 'tls', unsupported)),
      ...spec.objects('tcp').map((rule) => readTcpRule(rule, 'tcp', unsupported)),
    ],
    unsupported,
  };
}

class RuleReader {
  readonly #rule: ObjectReader;
  readonly #namespace: string;
  readonly #isDelegate: boolean;
  readonly #unsupported: Unsupported[];

  constructor(rule: ObjectReader, namespace: string, isDelegate: boolean, unsupported: Unsupported[]) {
    this.#rule = rule;
    this.#namespace = namespace;
    this.#isDelegate = isDelegate;
    this.#unsupported = unsupported;
  }

  read(): VirtualRule {
    const rule = this.#rule;
    rule.only(ruleFields);
    this.#checkCombination();
    const headers = rule.object('headers');
    const request = readIstioEdits(headers, 'request');
    const rewrite = rule.has('rewrite') ? readRewrite(rule.object('rewrite')) : null;
    if (rewrite?.authority != null && request.authority !== null) {
      headers.fail('request', 'must not set the authority that rewrite sets');
    }
    return {
      name: rule.has('name') ? rule.string('name') : null,
      matches: rule.objects('match').map((match) => this.#match(match)),
      route: rule.objects('route').map((one) => readRouteDestination(one)),
      redirect: rule.has('redirect') ? readRedirect(rule.object('redirect')) : null,
      direct: rule.has('directResponse') ? readDirect(rule.object('directResponse')) : null,
      delegate: this.#delegate(),
      rewrite,
      timeoutMs: istioDuration(rule, 'timeout'),
      retries: rule.has('retries') ? this.#retries(rule.object('retries')) : null,
      fault: rule.has('fault') ? this.#fault(rule.object('fault')) : null,
      mirrors: this.#mirrors(),
      cors: rule.has('corsPolicy') ? readCors(rule.object('corsPolicy')) : null,
      requestHeaders: request.edits,
      responseHeaders: readIstioEdits(headers, 'response').edits,
      authority: request.authority,
    };
  }

  /** What excludes what (l7.md §3.2). */
  #checkCombination(): void {
    const rule = this.#rule;
    const excludes: readonly [field: string, others: readonly string[]][] = [
      ['redirect', ['route', 'fault', 'rewrite', 'directResponse']],
      ['directResponse', ['route', 'fault', 'rewrite']],
      ['delegate', ['route', 'redirect', 'directResponse']],
      ['mirror', ['mirrors']],
    ];
    for (const [field, others] of excludes) {
      if (!rule.has(field)) continue;
      for (const other of others) if (rule.has(other)) rule.fail(other, `must not stand beside ${field}`);
    }
    if (!['route', 'redirect', 'directResponse', 'delegate'].some((field) => rule.has(field))) {
      rule.fail('route', 'must be there, or redirect, directResponse or delegate');
    }
    if (this.#isDelegate && rule.has('delegate'))
      rule.fail('delegate', 'must not stand in a VirtualService without hosts');
  }

  #match(match: ObjectReader): VirtualRule['matches'][number] {
    if (match.has('name')) this.#note(match, 'name', 'logs and metrics name the rule');
    if (match.has('statPrefix')) this.#note(match, 'statPrefix', 'requests are counted under the service');
    return readVirtualMatch(match);
  }

  #delegate(): VirtualRule['delegate'] {
    if (!this.#rule.has('delegate')) return null;
    const delegate = this.#rule.object('delegate');
    delegate.only(['name', 'namespace']);
    return { namespace: delegate.name('namespace', this.#namespace), name: delegate.name('name') };
  }

  #retries(retries: ObjectReader): VirtualRetries {
    retries.only([
      'attempts',
      'perTryTimeout',
      'retryOn',
      'retryRemoteLocalities',
      'retryIgnorePreviousHosts',
      'backoff',
    ]);
    if (retries.has('retryIgnorePreviousHosts') && !retries.boolean('retryIgnorePreviousHosts', true)) {
      this.#note(retries, 'retryIgnorePreviousHosts', 'a retry always prefers another endpoint');
    }
    if (retries.has('retryRemoteLocalities') && !retries.boolean('retryRemoteLocalities', false)) {
      this.#note(retries, 'retryRemoteLocalities', 'a retry takes another endpoint, near ones first');
    }
    const words = retries
      .string('retryOn', '')
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== '');
    return {
      attempts: retries.integer('attempts', { min: 0, max: 100 }, 2),
      perTryTimeoutMs: istioDuration(retries, 'perTryTimeout') ?? 0,
      retryOn: words.length === 0 ? null : words,
      backoffMs: istioDuration(retries, 'backoff'),
    };
  }

  #fault(fault: ObjectReader): FaultPolicy {
    fault.only(['delay', 'abort']);
    const delay = fault.object('delay');
    delay.only(['percentage', 'percent', 'fixedDelay', 'exponentialDelay']);
    const abort = fault.object('abort');
    abort.only(['percentage', 'httpStatus', 'grpcStatus', 'http2Error']);
    if (delay.has('exponentialDelay')) this.#note(delay, 'exponentialDelay', 'nothing is delayed by it');
    if (abort.has('http2Error')) this.#note(abort, 'http2Error', 'nothing is aborted by it');
    for (const [name, one] of [
      ['delay', delay],
      ['abort', abort],
    ] as const) {
      if (!fault.has(name) || one.has('percentage') || one.has('percent')) continue;
      this.#unsupported.push({
        path: one.path,
        message: `${name} without a percentage is never injected, as in Istio`,
      });
    }
    const percent = delay.integer('percent', { min: 0, max: 100 }, 0) / 100;
    const delayMs = istioDuration(delay, 'fixedDelay');
    return {
      delay: delayMs === null ? null : { fraction: readPercent(delay, 'percentage') ?? percent, delayMs },
      abort: abort.has('httpStatus') || abort.has('grpcStatus') ? readAbort(abort) : null,
    };
  }

  #mirrors(): VirtualMirror[] {
    const rule = this.#rule;
    if (rule.has('mirrors')) {
      return rule.objects('mirrors').map((one) => {
        one.only(['destination', 'percentage']);
        const fraction = readPercent(one, 'percentage') ?? 1;
        return { ...readDestination(one.object('destination')), fraction, path: one.path };
      });
    }
    if (!rule.has('mirror')) return [];
    const old = rule.has('mirrorPercent') ? 'mirrorPercent' : 'mirror_percent';
    const fraction = readPercent(rule, 'mirrorPercentage') ?? rule.integer(old, { min: 0, max: 100 }, 100) / 100;
    const mirror = rule.object('mirror');
    return [{ ...readDestination(mirror), fraction, path: mirror.path }];
  }

  #note(object: ObjectReader, key: string, outcome: string): void {
    this.#unsupported.push({ path: [...object.path, key], message: `${key} is not supported: ${outcome}` });
  }
}

function readRouteDestination(one: ObjectReader): VirtualBackend {
  one.only(['destination', 'weight', 'headers']);
  const request = readIstioEdits(one.object('headers'), 'request');
  if (!one.has('destination')) one.fail('destination', 'must be there');
  return {
    ...readDestination(one.object('destination')),
    weight: one.integer('weight', { min: 0, max: 1_000_000_000 }, 0),
    requestHeaders: request.edits,
    responseHeaders: readIstioEdits(one.object('headers'), 'response').edits,
    authority: request.authority,
    path: one.path,
  };
}

function readDestination(destination: ObjectReader): VirtualDestination {
  destination.only(['host', 'subset', 'port']);
  const port = destination.object('port');
  port.only(['number']);
  return {
    host: destination.string('host'),
    subset: destination.string('subset', ''),
    port: destination.has('port') ? port.integer('number', anyPort) : null,
  };
}

function readRedirect(redirect: ObjectReader): VirtualRedirect {
  redirect.only(['uri', 'authority', 'port', 'derivePort', 'scheme', 'redirectCode', 'uriPrefix', 'prefixRewrite']);
  const status = redirect.integer('redirectCode', { min: 301, max: 308 }, 301);
  if (!redirectCodes.includes(status)) redirect.fail('redirectCode', `must be one of ${redirectCodes.join(', ')}`);
  if (redirect.has('port') && redirect.has('derivePort')) redirect.fail('derivePort', 'must not stand beside port');
  const derived = { FROM_PROTOCOL_DEFAULT: 'scheme', FROM_REQUEST_PORT: 'request' } as const;
  const words = ['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'] as const;
  let port: VirtualRedirect['port'] = null;
  if (redirect.has('port')) port = redirect.integer('port', anyPort);
  else if (redirect.has('derivePort')) port = derived[redirect.oneOf('derivePort', words)];
  const prefix = redirect.has('prefixRewrite') ? 'prefixRewrite' : 'uriPrefix';
  return {
    path: redirect.has(prefix)
      ? { kind: 'prefix', value: headText(redirect, prefix) }
      : redirect.has('uri')
        ? { kind: 'full', value: headText(redirect, 'uri') }
        : null,
    authority: headText(redirect, 'authority', '') || null,
    scheme: headText(redirect, 'scheme', '') || null,
    port,
    status,
  };
}

function readRewrite(rewrite: ObjectReader): VirtualRewrite {
  rewrite.only(['uri', 'authority', 'uriRegexRewrite']);
  const regex = rewrite.object('uriRegexRewrite');
  regex.only(['match', 'rewrite']);
  if (rewrite.has('uri') && rewrite.has('uriRegexRewrite')) {
    rewrite.fail('uriRegexRewrite', 'must not stand beside uri');
  }
  const problem = rewrite.has('uriRegexRewrite') ? regexProblem(regex.string('match')) : null;
  if (problem !== null) regex.fail('match', problem);
  return {
    uri: headText(rewrite, 'uri', '') || null,
    authority: headText(rewrite, 'authority', '') || null,
    regex: rewrite.has('uriRegexRewrite')
      ? { pattern: regex.string('match'), value: headText(regex, 'rewrite', '') }
      : null,
  };
}

function readDirect(direct: ObjectReader): { status: number; body: string } {
  direct.only(['status', 'body']);
  const body = direct.object('body');
  body.only(['string', 'bytes']);
  const bytes = Buffer.from(body.string('bytes', ''), 'base64').toString('utf8');
  return { status: direct.integer('status', { min: 200, max: 599 }), body: body.string('string', bytes) };
}

function readAbort(abort: ObjectReader): FaultPolicy['abort'] {
  const fraction = readPercent(abort, 'percentage') ?? 0;
  if (!abort.has('grpcStatus')) {
    return { fraction, status: abort.integer('httpStatus', { min: 200, max: 599 }), grpcStatus: null };
  }
  if (abort.has('httpStatus')) abort.fail('grpcStatus', 'must not stand beside httpStatus');
  const grpcStatus = grpcCodes.indexOf(abort.string('grpcStatus'));
  if (grpcStatus < 0) abort.fail('grpcStatus', `must be one of ${grpcCodes.join(', ')}`);
  return { fraction, status: 200, grpcStatus };
}

function readCors(cors: ObjectReader): CorsPolicy {
  cors.only([
    ...['allowOrigin', 'allowOrigins', 'allowMethods', 'allowHeaders', 'exposeHeaders', 'maxAge'],
    ...['allowCredentials', 'unmatchedPreflights'],
  ]);
  const old = cors
    .strings('allowOrigin')
    .map((value) =>
      value === '*'
        ? ({ kind: 'present', value: '', ignoreCase: false } as const)
        : ({ kind: 'exact', value, ignoreCase: false } as const),
    );
  const origins = cors.objects('allowOrigins').map((one) => readStringMatch(one));
  const maxAgeMs = istioDuration(cors, 'maxAge');
  const unmatched = cors.oneOf('unmatchedPreflights', ['UNSPECIFIED', 'FORWARD', 'IGNORE'], 'UNSPECIFIED');
  return {
    // `exact: "*"` is how people write any origin.
    allowOrigins: [...origins, ...old].map((one) =>
      one.kind === 'exact' && one.value === '*' ? { kind: 'present', value: '', ignoreCase: false } : one,
    ),
    allowMethods: tokens(cors, 'allowMethods'),
    allowHeaders: tokens(cors, 'allowHeaders').map((name) => name.toLowerCase()),
    exposeHeaders: tokens(cors, 'exposeHeaders'),
    maxAgeS: maxAgeMs === null ? null : Math.floor(maxAgeMs / 1000),
    allowCredentials: cors.boolean('allowCredentials', false),
    unmatchedPreflights: unmatched === 'IGNORE' ? 'ignore' : 'forward',
  };
}

/** What a waypoint does not see of a connection; a branch that asks for it matches nothing. */
const blindFields = ['destinationSubnets', 'sourceLabels', 'sourceSubnet', 'sourceNamespace'];

function readTcpRule(rule: ObjectReader, protocol: 'tls' | 'tcp', unsupported: Unsupported[]): VirtualTcpRule {
  rule.only(['match', 'route']);
  const fields = [...blindFields, 'port', 'gateways', ...(protocol === 'tls' ? ['sniHosts'] : [])];
  const matches = rule.objects('match').map((match) => {
    match.only(fields);
    if (protocol === 'tls' && match.list('sniHosts').length === 0) match.fail('sniHosts', 'must name a host');
    const blind = blindFields.find((field) => match.has(field));
    if (blind !== undefined) {
      const path = [...match.path, blind];
      unsupported.push({ path, message: `${blind} is not supported for ${protocol}: the match matches nothing` });
    }
    return {
      sniHosts: protocol === 'tls' ? match.strings('sniHosts') : null,
      port: match.has('port') ? match.integer('port', anyPort) : 0,
      gateways: match.strings('gateways'),
      isNever: blind !== undefined,
    };
  });
  if (protocol === 'tls' && matches.length === 0) rule.fail('match', 'must be there for tls');
  return { matches, route: rule.objects('route').map((one) => readRouteDestination(one)), protocol, path: rule.path };
}
