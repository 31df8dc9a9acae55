// What `ambientctl test` proves, each by actions that a person could do by hand.
import { type Answer, notFrom, type ProofBed, type Reason } from './bed.ts';
import { denial, leavingPod, strict, waypoint } from './objects.ts';

export interface Action {
  readonly what: string;
  /** Why it does not hold; null when it does. */
  readonly run: () => Promise<Reason>;
}

export interface Proof {
  readonly name: string;
  /** The desired truth. */
  readonly title: string;
  /** Disturbs what else runs in the mesh: only with `--disruptive`. */
  readonly disruptive?: true;
  /** Why it makes no sense here; null when it does. */
  readonly skip?: (bed: ProofBed) => Promise<Reason> | Reason;
  readonly actions: (bed: ProofBed) => readonly Action[];
  /** Takes away what the actions have made, however they ended. */
  readonly after?: (bed: ProofBed) => Promise<void>;
  /** What to look at when it fails: a command. */
  readonly next: (bed: ProofBed) => string;
}

const splitRequests = 200;
/** Of 200 at one in ten: wrong by chance less than once in a hundred thousand runs. */
const splitBounds = [4, 42] as const;
const oneNode = 'there is one node alone';

/** In the order in which they run. */
export const proofs: readonly Proof[] = [
  {
    name: 'same-node',
    title: 'traffic on one node arrives',
    actions: (bed) => [reaches(bed, 'near')],
    next: (bed) => whyOf(bed, 'near'),
  },
  {
    name: 'across-nodes',
    title: 'traffic between nodes arrives',
    skip: (bed) => (bed.isOneNode ? oneNode : null),
    actions: (bed) => [reaches(bed, 'far')],
    next: (bed) => whyOf(bed, 'far'),
  },
  {
    name: 'encrypted',
    title: 'traffic between nodes is encrypted, and both ends prove who they are',
    skip: (bed) => (bed.isOneNode ? oneNode : null),
    actions: (bed) => [
      reaches(bed, 'far'),
      {
        what: 'the proxies saw mutual TLS between the identities of client and far',
        run: () => bed.until(() => notEncrypted(bed)),
      },
    ],
    next: (bed) => whyOf(bed, 'far'),
  },
  {
    name: 'headless',
    title: 'a headless service leads to its pod',
    actions: (bed) => [
      {
        what: 'client asks headless:8080',
        run: () => bed.until(async () => notFrom((await bed.ask(`${hostOf(bed, 'headless')}:8080/`))[0], 'far')),
      },
    ],
    next: (bed) => whyOf(bed, 'headless'),
  },
  {
    name: 'service-ip',
    title: 'the address of a service leads to its pod',
    actions: (bed) => [byAddress(bed, 4)],
    next: (bed) => whyOf(bed, 'far'),
  },
  {
    name: 'ipv6',
    title: 'the IPv6 address of a service leads to its pod',
    skip: async (bed) => ((await addressOf(bed, 6)) === null ? 'services have no IPv6 address' : null),
    actions: (bed) => [byAddress(bed, 6)],
    next: (bed) => whyOf(bed, 'far'),
  },
  {
    name: 'strict',
    title: 'STRICT refuses plaintext from outside of the mesh',
    actions: (bed) => [
      { what: 'a stranger reaches far in plaintext', run: () => bed.until(() => fromStranger(bed)) },
      { what: 'STRICT is applied', run: () => done(bed.apply(strict(bed.namespace))) },
      { what: 'the stranger is refused', run: () => bed.until(() => isRefused(() => fromStranger(bed))) },
      reaches(bed, 'far'),
      { what: 'STRICT is taken away', run: () => done(bed.remove(strict(bed.namespace))) },
      { what: 'the stranger reaches far again', run: () => bed.until(() => fromStranger(bed)) },
    ],
    after: (bed) => bed.remove(strict(bed.namespace)),
    next: (bed) => `ambientctl why ${bed.options.outside}/stranger svc/far.${bed.namespace}:80`,
  },
  {
    name: 'deny',
    title: 'a DENY policy refuses by its name, and its removal allows again',
    actions: (bed) => [
      reaches(bed, 'far'),
      { what: 'the policy is applied', run: () => done(bed.apply(denial(bed.namespace))) },
      { what: 'client is refused at far', run: () => bed.until(() => isRefused(() => asked(bed, 'far'))) },
      { what: 'the proxies name the policy', run: () => bed.until(() => notNamed(bed)) },
      reaches(bed, 'near'),
      { what: 'the policy is taken away', run: () => done(bed.remove(denial(bed.namespace))) },
      reaches(bed, 'far'),
    ],
    after: (bed) => bed.remove(denial(bed.namespace)),
    next: (bed) => whyOf(bed, 'far'),
  },
  {
    name: 'pod-end',
    title: 'a pod that ends loses no request',
    actions: (bed) => [
      { what: 'a second pod joins', run: () => joined(bed) },
      { what: 'it ends while it is asked, and every request is answered', run: () => endsWhileAsked(bed) },
    ],
    after: (bed) => bed.remove(leavingPod(bed.options)),
    next: (bed) => `ambientctl tap --to-service pair.${bed.namespace} --verdict failed`,
  },
  {
    name: 'waypoint-split',
    title: 'a waypoint splits requests 90 to 10',
    actions: (bed) => [isThere(bed), { what: `${splitRequests} requests are split`, run: () => isSplit(bed) }],
    next: (bed) => whyOf(bed, 'echo'),
  },
  {
    name: 'waypoint-header',
    title: 'a waypoint routes by a header',
    actions: (bed) => [
      isThere(bed),
      {
        what: 'every request with the header goes to far',
        run: async () =>
          firstReason(await bed.ask(`${hostOf(bed, 'echo')}/`, { count: 20, headers: ['x-proof: far'] }), 'far'),
      },
    ],
    next: (bed) => `${whyOf(bed, 'echo')} --header 'x-proof: far'`,
  },
  {
    name: 'waypoint-timeout',
    title: 'a waypoint gives up after the time-out of the route',
    actions: (bed) => [
      isThere(bed),
      {
        what: 'what takes 3 s is answered with 504 before',
        run: async () => {
          const [answer] = await bed.ask(`${hostOf(bed, 'echo')}/late?delay=3s`);
          if (answer?.status !== 504) return `answer ${answer?.status ?? answer?.error}`;
          return answer.tookMs < 2_900 ? null : `after ${Math.round(answer.tookMs)} ms`;
        },
      },
    ],
    next: (bed) => `${whyOf(bed, 'echo')} --path /late`,
  },
  {
    name: 'waypoint-retry',
    title: 'a waypoint tries again where a connection fails',
    actions: (bed) => [
      isThere(bed),
      { what: 'one endpoint of two is deaf, and every request is answered', run: () => bed.until(() => retried(bed)) },
    ],
    next: (bed) => `ambientctl tap --to-service echo.${bed.namespace} --path /flaky`,
  },
  {
    name: 'node-proxy-restart',
    title: 'a node proxy that is replaced loses no request',
    disruptive: true,
    actions: (bed) => [
      { what: 'it is replaced under load, and every request is answered', run: () => restartedUnderLoad(bed) },
    ],
    next: (bed) => `ambientctl log node/${bed.options.near}`,
  },
];

function hostOf(bed: ProofBed, service: string): string {
  return `http://${service}.${bed.namespace}`;
}

function whyOf(bed: ProofBed, service: string): string {
  return `ambientctl why ${bed.namespace}/client svc/${service}.${bed.namespace}:80`;
}

function reaches(bed: ProofBed, service: string): Action {
  return { what: `client asks ${service}`, run: () => bed.until(() => asked(bed, service)) };
}

async function asked(bed: ProofBed, service: string): Promise<Reason> {
  return notFrom((await bed.ask(`${hostOf(bed, service)}/`))[0], service);
}

async function fromStranger(bed: ProofBed): Promise<Reason> {
  return notFrom((await bed.ask(`${hostOf(bed, 'far')}/`, { from: 'stranger' }))[0], 'far');
}

async function isRefused(ask: () => Promise<Reason>): Promise<Reason> {
  const reason = await ask();
  return reason?.startsWith('no answer') === true
    ? null
    : (reason ?? 'it is answered all the same: what was applied does not hold there');
}

async function done(work: Promise<void>): Promise<null> {
  await work;
  return null;
}

async function notEncrypted(bed: ProofBed): Promise<Reason> {
  const flow = await bed.seen(
    ({ source, destination, flag }) =>
      source.namespace === bed.namespace &&
      source.workload === 'client' &&
      destination.workload === 'far' &&
      flag === '-',
  );
  if (flow === null) return 'it was answered, and no proxy has seen it: it went past the mesh, in plaintext';
  if (flow.transport !== 'mtls') return `it went by ${flow.transport}`;
  for (const [end, account] of [
    [flow.source, 'client'],
    [flow.destination, 'far'],
  ] as const) {
    const wanted = `/ns/${bed.namespace}/sa/${account}`;
    if (end.identity?.endsWith(wanted) !== true) return `${account} showed ${end.identity ?? 'no identity'}`;
  }
  return null;
}

async function notNamed(bed: ProofBed): Promise<Reason> {
  const { namespace, name } = denial(bed.namespace).metadata;
  const flow = await bed.seen(({ decidedBy, flag }) => flag === 'DENY' && decidedBy === `${namespace}/${name}`);
  return flow === null ? `no refusal by ${namespace}/${name} was seen` : null;
}

async function addressOf(bed: ProofBed, family: 4 | 6): Promise<string | null> {
  const service = { kind: 'Service', namespace: bed.namespace, name: 'far' };
  const found = await bed.object<{ spec?: { clusterIP?: string; clusterIPs?: readonly string[] } }>(service);
  const all = found?.spec?.clusterIPs ?? [found?.spec?.clusterIP ?? ''];
  return all.find((one) => one !== '' && one.includes(':') === (family === 6)) ?? null;
}

function byAddress(bed: ProofBed, family: 4 | 6): Action {
  const run = async (): Promise<Reason> => {
    const address = await addressOf(bed, family);
    if (address === null) return `the service has no IPv${family} address`;
    const host = family === 6 ? `[${address}]` : address;
    return bed.until(async () => notFrom((await bed.ask(`http://${host}/`))[0], 'far'));
  };
  return { what: `client asks the IPv${family} address of far`, run };
}

async function joined(bed: ProofBed): Promise<Reason> {
  await bed.apply(leavingPod(bed.options));
  const missing = await bed.ready('leaving');
  if (missing !== null) return missing;
  return bed.until(async () => {
    const answers = await bed.ask(`${hostOf(bed, 'pair')}/`, { count: 20 });
    return answers.some(({ pod }) => pod === 'leaving') ? null : 'it is asked by nobody';
  });
}

async function endsWhileAsked(bed: ProofBed): Promise<Reason> {
  const gone = bed.remove(leavingPod(bed.options)).then(() => {
    const pod = { kind: 'Pod', namespace: bed.namespace, name: 'leaving' };
    return bed.until(async () => ((await bed.object(pod)) === null ? null : 'it is still there'));
  });
  return allAnswered(bed, gone);
}

async function restartedUnderLoad(bed: ProofBed): Promise<Reason> {
  const restarted = bed.mesh.restartNodeProxy(bed.options.near, bed.options.timeoutMs);
  return allAnswered(bed, done(restarted));
}

/** Asks on and on until the work is over, however it ends, and once more. Rejects as the work does. */
export async function allAnswered(bed: ProofBed, work: Promise<Reason>): Promise<Reason> {
  let requests = 0;
  let isOver = false;
  const lost: string[] = [];
  const end = (): void => {
    isOver = true;
  };
  work.then(end, end);
  for (let isLast = false; ; ) {
    const answers = await bed.ask(`${hostOf(bed, 'pair')}/`, { count: 40 });
    requests += answers.length;
    for (const answer of answers) if (answer.status !== 200) lost.push(answer.error ?? `answer ${answer.status}`);
    if (isLast) break;
    isLast = isOver;
  }
  const reason = await work;
  return reason ?? (lost.length === 0 ? null : `${lost.length} of ${requests} requests were lost: ${lost[0]}`);
}

/** The waypoint stands, and requests go through it. */
function isThere(bed: ProofBed): Action {
  const run = async (): Promise<Reason> => {
    await bed.waypoint(waypoint(bed.namespace));
    return bed.until(async () => {
      const answers = await bed.ask(`${hostOf(bed, 'echo')}/`, { count: 10, headers: ['x-proof: far'] });
      return firstReason(answers, 'far');
    });
  };
  return { what: 'the waypoint stands in the way', run };
}

function firstReason(answers: readonly Answer[], pod: string): Reason {
  for (const answer of answers) {
    const reason = notFrom(answer, pod);
    if (reason !== null) return reason;
  }
  return null;
}

async function isSplit(bed: ProofBed): Promise<Reason> {
  const answers = await bed.ask(`${hostOf(bed, 'echo')}/`, { count: splitRequests });
  const failed = answers.find(({ status }) => status !== 200);
  if (failed !== undefined) return failed.error ?? `answer ${failed.status}`;
  const far = answers.filter(({ pod }) => pod === 'far').length;
  const [least, most] = splitBounds;
  return far >= least && far <= most ? null : `${far} of ${splitRequests} went to far; ${least} to ${most} may`;
}

async function retried(bed: ProofBed): Promise<Reason> {
  const answers = await bed.ask(`${hostOf(bed, 'echo')}/flaky`, { count: 10 });
  const lost = answers.filter(({ status }) => status !== 200);
  if (lost.length > 0) return `${lost.length} of ${answers.length} were not: ${lost[0]!.error ?? lost[0]!.status}`;
  const flow = await bed.seen(
    ({ kind, path, attempts, source }) =>
      kind === 'request' && path === '/flaky' && attempts > 1 && source.namespace === bed.namespace,
  );
  return flow === null ? 'no request was tried again' : null;
}
