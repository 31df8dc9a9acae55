// What the live page is told of the shop with its waypoint.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { linesOf } from '../../src/base/line-streams.ts';
import { LabMesh } from '../../src/cli/mesh.ts';
import { PageRelay } from '../../src/cli/page-relay.ts';
import {
  type DetailsView,
  type GraphView,
  type ProblemsView,
  type ProxiesView,
  segmentOrder,
} from '../../src/model/page-views.ts';
import { type Scene, until } from './scene.ts';

const timeout = { timeout: 90_000 };

/** Declares the tests; `scene` is there when they run. */
export function pageRows(scene: () => Scene): void {
  test('the live page is told of real edges, of refusals by name, and of the shares of a split', timeout, async () => {
    const relay = new PageRelay(new LabMesh(scene().lab.client));
    const url = await relay.start(0);
    const stop = new AbortController();
    const asked = async (what: string): Promise<unknown> => (await fetch(`${url}api/${what}`)).json();
    try {
      const page = await fetch(url);
      assert.match(await page.text(), /<script type="module" src="\/assets\//);
      assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
      const { body } = await fetch(`${url}events`, { signal: stop.signal });
      let left = ['no graph'];
      for await (const line of linesOf(Readable.fromWeb(body!), stop.signal)) {
        if (!line.startsWith('data: ') || !line.includes('"edges"')) continue;
        left = missingFrom(JSON.parse(line.slice('data: '.length)) as GraphView);
        if (left.length === 0) break;
      }
      assert.deepEqual(left, []);
      await until(async () => notTold(await asked(`details?edge=${encodeURIComponent('shop/web>shop/payments')}`)));
      const { proxies } = (await asked('proxies')) as ProxiesView;
      // A proxy that the machine keeps from working comes first.
      assert.deepEqual(proxies.map(({ kind, name, load }) => `${kind} ${name} ${load !== null}`).toSorted(), [
        'node node-1 true',
        'node node-2 true',
        'waypoint shop/waypoint true',
      ]);
      await until(async () => {
        const { problems, well } = (await asked('problems')) as ProblemsView;
        const isFound = problems.some(({ code, node }) => code === 'AMB0411' && node === 'shop/payments');
        return well.includes('every proxy is in step') && isFound ? [] : [JSON.stringify({ well, problems })];
      });
    } finally {
      stop.abort();
      await relay.close();
    }
  });
}

/** What the shop with its waypoint should show, and does not yet. */
function missingFrom({ edges, nodes }: GraphView): string[] {
  const edge = (id: string) => edges.find((one) => one.id === id);
  const refusedBy = (id: string) => edge(id)?.refusals.map(({ by }) => by) ?? [];
  const split = nodes.find(({ id }) => id === 'shop/checkout')?.splits[0];
  const actual = split?.backends.map((one) => one.actual ?? 0) ?? [];
  const wanted = {
    'mTLS and its rate':
      edge('shop/web>shop/catalog')?.transport === 'mtls' && edge('shop/web>shop/catalog')?.success === 1,
    'who is refused by an AuthorizationPolicy': refusedBy('shop/web>shop/payments').includes(
      'AuthorizationPolicy shop/payments-never-from-web',
    ),
    'who is refused for its plaintext': refusedBy('legacy/legacy>shop/payments').includes(
      'PeerAuthentication shop/payments',
    ),
    'an open connection': (edge('shop/web>shop/cart')?.openConnections ?? 0) > 0,
    'weights of the split': split?.backends.map((one) => one.configured).join() === '0.9,0.1',
    'its shares': actual.length === 2 && Math.abs(actual[0]! + actual[1]! - 1) < 0.001 && actual[0]! > 0.5,
  };
  return Object.entries(wanted).flatMap(([what, isThere]) => (isThere ? [] : [what]));
}

/** What the details of a refused edge should have, and do not. */
function notTold(details: unknown): string[] {
  const { flows, segments, policies } = details as DetailsView;
  const wanted = {
    'a flow that was refused': flows.some(({ line }) => /shop\/web-.* REFUSED .*payments-never-from-web/.test(line)),
    'five segments': segments.map(({ segment }) => segment).join() === segmentOrder.join(),
    'the policy, and how much it refused': policies.some(
      ({ name, layer, refused }) => name === 'shop/payments-never-from-web' && layer === 'L7' && refused > 0,
    ),
  };
  return Object.entries(wanted).flatMap(([what, isThere]) => (isThere ? [] : [`${what}: ${JSON.stringify(details)}`]));
}
