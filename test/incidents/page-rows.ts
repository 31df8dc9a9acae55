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
import type { Scene } from './scene.ts';

const timeout = { timeout: 90_000 };

/** Declares the tests; `scene` is there when they run. */
export function pageRows(scene: () => Scene): void {
  test('the live page is told of real edges, of refusals by name, and of the shares of a split', timeout, async () => {
    const relay = new PageRelay(new LabMesh(scene().lab.client));
    const url = await relay.start(0);
    const stop = new AbortController();
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
      const edge = encodeURIComponent('shop/web>shop/payments');
      const details = (await (await fetch(`${url}api/details?edge=${edge}`)).json()) as DetailsView;
      assert.match(details.flows[0]?.line ?? '', /shop\/web-.* REFUSED .*payments-never-from-web/);
      assert.deepEqual(
        details.segments.map(({ segment }) => segment),
        segmentOrder,
      );
      const { proxies } = (await (await fetch(`${url}api/proxies`)).json()) as ProxiesView;
      assert.deepEqual(
        proxies.map(({ kind, name, load }) => [kind, name, load !== null]),
        [
          ['node', 'node-1', true],
          ['node', 'node-2', true],
          ['waypoint', 'shop/waypoint', true],
        ],
      );
      const { problems, well } = (await (await fetch(`${url}api/problems`)).json()) as ProblemsView;
      assert.ok(well.includes('every proxy is in step'), well.join());
      assert.ok(problems.some(({ code, node }) => code === 'AMB0411' && node === 'shop/payments'));
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
