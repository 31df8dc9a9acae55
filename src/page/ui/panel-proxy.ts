// What the panel says of a proxy: whether it is in step, what it could not take, its load, and its certificates.
import type { ProxyCertificateRow, ProxyRow } from '../../model/page-views.ts';
import { clockText, durationText, plural, spanText } from '../format.ts';
import { stateOfProxy } from '../trouble.ts';
import { type Child, make } from './dom.ts';
import { commandLines, gridTable, noteLine, part } from './parts.ts';

const certificatesMax = 40;

/** The parts of the panel, worst first. */
export function proxyParts(proxy: ProxyRow): Child[] {
  const { load, refused, certificates, notes, commands, heardAt } = proxy;
  const nowMs = Date.now();
  const state = stateOfProxy(proxy);
  const severity = state === 'ok' ? 'info' : state;
  const said = notes.some(({ text }) => text === proxy.text);
  return [
    make('div', { class: 'part' }, said ? null : noteLine({ severity, text: proxy.text }), ...notes.map(noteLine)),
    part(
      'Refused configuration',
      gridTable(
        ['resource', 'why'],
        refused.map(({ resource, reason }): Child[] => [make('code', {}, resource), reason]),
      ),
    ),
    load === null
      ? null
      : part(
          'Load',
          gridTable(
            ['thread', 'state', 'connections', 'event loop p99', 'restarts'],
            load.threads.map(({ id, state: doing, connections, loopDelayP99Ms, restarts }): Child[] => [
              String(id),
              doing,
              String(connections),
              durationText(loopDelayP99Ms),
              String(restarts),
            ]),
            [2, 3, 4],
          ),
          make('p', { class: 'lead' }, `The longest turn lately took ${durationText(load.loopDelayMaxMs)}.`),
        ),
    part(
      `Certificates (${certificates.length})`,
      gridTable(
        ['identity', 'state', 'ends'],
        certificates.slice(0, certificatesMax).map((one) => certificateCells(one, nowMs)),
      ),
    ),
    part('Who it is', gridTable(['', ''], placeRows(proxy, heardAt, nowMs))),
    part('The same in a terminal', ...commandLines(commands)),
  ];
}

function placeRows({ pod, node }: ProxyRow, heardAt: string | null, nowMs: number): Child[][] {
  return [
    ['pod', pod === '' ? '–' : pod],
    ['node', node],
    ['last heard', heardAt === null ? 'never' : clockText(heardAt, nowMs)],
  ];
}

function certificateCells({ identity, state, notAfter, note }: ProxyCertificateRow, nowMs: number): Child[] {
  const tone = { ok: '', late: 'warn', expired: 'bad', missing: 'bad' }[state];
  const leftMs = notAfter === null ? 0 : Date.parse(notAfter) - nowMs;
  const ends = leftMs > 0 ? `in ${spanText(leftMs)}` : `${spanText(-leftMs)} ago`;
  return [
    identity.replace(/^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\//, '$1/'),
    make('span', { class: tone }, state, note === '' ? null : make('div', {}, note)),
    notAfter === null ? '–' : ends,
  ];
}

/** All certificates in a few words: `12 ok`, `1 late of 12`. */
export function certificatesText({ certificates }: ProxyRow): readonly [text: string, tone: string] {
  if (certificates.length === 0) return ['–', ''];
  for (const state of ['expired', 'missing', 'late'] as const) {
    const count = certificates.filter((one) => one.state === state).length;
    if (count > 0) return [`${count} ${state} of ${certificates.length}`, state === 'late' ? 'warn' : 'bad'];
  }
  return [plural(certificates.length, 'certificate').replace(/ .*/, ' ok'), ''];
}
