// The live page in a real Chromium, on meshes that are written down: what it shows, by mouse and by keyboard, in light
// and dark, on a phone, with 300 services, with names that would be HTML, and when the server goes and comes back.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { GraphView } from '../../src/model/page-views.ts';
import { type LivePage, type PageOptions, TestBrowser } from './driver.ts';
import { exampleGraph, exampleProblems, exampleProxies, troubledGraph } from './example-views.ts';
import { FixtureServer } from './fixture-server.ts';

const server = new FixtureServer();
let browser: TestBrowser;
/** One window for all: a new one takes as long as most tests. */
let page: LivePage;

before(async () => {
  await server.start();
  browser = await TestBrowser.start();
  page = await browser.openPage(server.url);
});
after(async () => {
  await browser?.close();
  await server.close();
});

async function open(hash = '', options: PageOptions = {}): Promise<LivePage> {
  await page.visit(`${server.url}${hash}`, options);
  return page;
}

/** Whatever a test did: nothing complained, nobody else was asked, and nothing hangs over the edge of the window. */
afterEach(async () => {
  server.fixture.graph = troubledGraph();
  server.fixture.proxies = exampleProxies();
  server.fixture.problems = exampleProblems();
  const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
  await page.evaluate('localStorage.clear()');
  assert.deepEqual(page.strangers.splice(0), []);
  assert.deepEqual(
    page.complaints.splice(0).filter((text) => !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY_RESPONSE/.test(text)),
    [],
  );
  assert.ok(overflow <= 0, `wider than the window by ${overflow} pixels`);
});

describe('the live page', () => {
  it('shows every kind of trouble in words, not by colour alone', async () => {
    const live = await open();
    const edges = new Map((await live.edges()).map((edge) => [edge.id, edge]));
    const edgeOf = (id: string) => edges.get(id) ?? assert.fail(`no edge ${id}`);
    const refused = edgeOf('shop/web>shop/cart');
    assert.equal(refused.state, 'error');
    assert.match(refused.text, /refused by deny-legacy/);
    assert.match(refused.text, /Refused by AuthorizationPolicy shop\/deny-legacy: 30 in the last minute/);
    const plaintext = edgeOf('legacy/till>shop/cart');
    assert.equal(plaintext.transport, 'plaintext');
    assert.match(plaintext.text, /, plaintext, /);
    assert.match(plaintext.text, /it asks for mutual TLS, and legacy\/till calls in plaintext/);
    assert.match(edgeOf('shop/cart>shop/inventory').text, /The application takes 300 ms of 306 ms/);
    assert.match(edgeOf('shop/cart>shop/payments').text, /retry budget/);
    const nodes = new Map((await live.nodes()).map((node) => [node.id, node]));
    assert.match(nodes.get('shop/catalog')?.text ?? '', /is ejected since 02:59:40/);
    assert.match(nodes.get('shop/reviews')?.text ?? '', /subset v3 is not in DestinationRule reviews/);
    assert.equal(nodes.size, 8);
    assert.equal(edges.size, 7);
  });

  it('tells a node and an edge whole, with the command that prints the same', async () => {
    const live = await open();
    const node = await live.panelOf('node', 'shop/reviews');
    for (const words of ['shop/reviews', 'reviews subset v1', '89.7 % of 90 %', 'Called by', 'shop/web']) {
      assert.ok(node.replaceAll(' ', ' ').includes(words), `${words} is not in: ${node}`);
    }
    const edge = await live.panelOf('edge', 'shop/web>shop/catalog');
    for (const words of [
      'shop/web → shop/catalog',
      "client's proxy",
      'wire',
      'waypoint',
      "destination's proxy",
      'application',
      'The application takes 9.1 ms of 11.8 ms (p99)',
      'HTTPRoute/shop/reviews#0',
      'shop/web-only',
      'shop/cart-1',
      'GET /items 200 FORWARDED mtls',
      'ambientctl tap --follow --to-service cart.shop',
    ]) {
      assert.ok(edge.includes(words), `${words} is not in: ${edge}`);
    }
    await live.evaluate(`document.querySelector('#panel .command .shell button').click()`);
    await live.waitFor('#panel .command .shell button[data-copied="true"]');
  });

  it('has pages for proxies and problems, with counts', async () => {
    const live = await open();
    assert.match(await live.textOf('nav [href="#/proxies"]'), /4/);
    assert.match(await live.textOf('nav [href="#/problems"]'), /2/);
    assert.match(await live.proxyRow('node-2'), /Behind since 02:52:40: it has not taken what the controller sent/);
    assert.match(await live.proxyRow('node-3'), /Not connected since 02:58:01/);
    assert.match(await live.proxyRow('shop/waypoint'), /1 late of 1/);
    await live.page.click('button[data-proxy="node/node-1"]');
    await live.waitForText('node-1 is overloaded', '#panel');
    const problems = await live.problems();
    assert.equal(problems.length, 2);
    assert.equal(problems[1]?.code, 'AMB0603');
    for (const words of ['it has v1, v2', 'write v2', 'reviews.yaml:14:17', 'docs/findings/AMB0603.md', 'ambientctl']) {
      assert.ok(problems[1]?.text.includes(words), words);
    }
  });

  it('is walked through with the keyboard', async () => {
    const live = await open();
    const until = async (wanted: string, key: 'Tab' | 'ArrowRight'): Promise<void> => {
      for (let presses = 0; presses < 30; presses++) {
        if ((await live.focused()) === wanted) return;
        await live.press(key);
      }
      assert.fail(`${key} does not lead to ${wanted}, but to ${await live.focused()}`);
    };
    await live.press('/');
    assert.equal(await live.focused(), 'search');
    await live.press('Escape');
    await live.page.focus('[data-node="shop/web"]');
    await live.press('ArrowRight');
    assert.match(await live.focused(), /^shop\/(cart|catalog|reviews)$|^outside$/);
    await live.press('ArrowLeft');
    assert.match(await live.focused(), /^shop\/web$|^legacy\/till$/);
    await live.page.focus('[data-node="shop/web"]');
    await live.press('Enter');
    await live.waitFor('#panel[data-of="shop/web"]:not([hidden])');
    await until('Close (Esc)', 'Tab');
    await live.press('Escape');
    await live.waitFor('#panel[hidden]');
    assert.equal(await live.focused(), 'shop/web');
    await live.page.focus('[data-edge="shop/web>shop/cart"]');
    await live.press('Enter');
    await live.waitFor('#panel[data-of="shop/web>shop/cart"]:not([hidden])');
    assert.match(await live.evaluate<string>('location.hash'), /^#\/graph\?edge=shop\/web>shop\/cart|%3E/);
    await live.press('Escape');
    await live.press('ArrowRight');
    assert.equal(await live.focused(), 'shop/cart');
    await live.press('t');
    await live.waitFor('#trouble-only[aria-pressed="true"]');
    const outline = await live.evaluate<string>(`getComputedStyle(document.activeElement).outlineStyle`);
    assert.equal(outline, 'solid');
  });

  it('shows what a link asks for, and what is searched', async () => {
    const live = await open('#/graph?q=inv&node=shop/inventory');
    assert.deepEqual((await live.nodes()).map(({ id }) => id).toSorted(), ['shop/cart', 'shop/inventory']);
    await live.waitFor('#panel[data-of="shop/inventory"]');
    await live.goTo('#/graph?trouble=1');
    const shown = (await live.nodes()).map(({ id }) => id);
    assert.ok(shown.includes('shop/catalog') && !shown.includes('outside'), String(shown));
    await live.goTo('#/graph?ns=legacy');
    assert.deepEqual((await live.nodes()).map(({ id }) => id).toSorted(), ['legacy/till', 'shop/cart']);
    await live.goTo('#/graph?q=nobody');
    await live.waitForText('Nothing here fits');
  });

  it('is readable in light and dark', async () => {
    // Most of the graph is behind what is looked at.
    const live = await open('#/graph?node=legacy/till');
    await live.waitFor('#panel[data-state="told"]');
    for (const hash of ['#/graph?node=legacy/till', '#/graph?q=reviews', '#/proxies', '#/problems']) {
      await live.goTo(hash);
      for (const dark of [false, true]) {
        await live.emulate({ dark });
        assert.deepEqual(await live.evaluate(`(${contrasts})()`), [], `${hash}, ${dark ? 'dark' : 'light'}`);
      }
    }
    const ground = () => live.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const dark = await ground();
    await live.page.click('#theme');
    await live.waitFor('html[data-theme="light"]');
    assert.notEqual(await ground(), dark);
  });

  it('is a list on a phone', async () => {
    const live = await open('', { phone: true, dark: true });
    await live.waitFor('[data-view="list"]:not([hidden])');
    assert.equal(await live.evaluate('document.querySelector(".stage").hidden'), true);
    assert.equal((await live.nodes()).length, 8);
    assert.equal((await live.edges()).length, 7);
    for (const hash of ['#/proxies', '#/problems', '#/graph?edge=shop/web>shop/cart']) {
      await live.goTo(hash);
      assert.ok((await live.evaluate<number>('document.documentElement.scrollWidth')) <= 390, hash);
    }
    await live.waitForText('refused', '#panel');
  });

  it('says so where there is nothing, and which replica of the controller is missing', async () => {
    server.fixture.graph = { ...exampleGraph(1), nodes: [], edges: [] };
    const replica = { pod: 'ambient-system/controller-1', version: '0.1.0', isThis: true, proxies: 0 };
    const silent = { ...replica, pod: 'ambient-system/controller-2', version: '', isThis: false, proxies: null };
    server.fixture.proxies = {
      ...exampleProxies(),
      controller: { version: '0.1.0', inStep: 0, proxies: 0 },
      replicas: [replica, silent],
      proxies: [],
    };
    for (const phone of [false, true]) {
      const live = await open('', { phone });
      const where = phone ? '[data-view="list"] .empty' : '.stage .empty';
      await live.waitForText(/no service and no pod.*ambientctl enroll NAMESPACE/, where);
      assert.match(await live.textOf('.field select'), /All namespaces \(0\)/);
      await live.goTo('#/proxies');
      await live.waitForText('No proxy follows the controller yet', '.lead');
      await live.waitForText('controller-2 does not answer: what its proxies know is missing here', '.lead .warn');
    }
  });

  it('takes names for text', async () => {
    const name = '<img src=x onerror=alert(1)><script>alert(2)</script>"\'';
    const graph = exampleGraph(3);
    const renamed = JSON.parse(
      JSON.stringify(graph).replaceAll('service-000', name.replaceAll('"', '\\"')),
    ) as GraphView;
    server.fixture.graph = renamed;
    const [problem] = exampleProblems().problems;
    assert.ok(problem !== undefined);
    server.fixture.problems = { ...exampleProblems(), problems: [{ ...problem, title: name, text: name }] };
    const live = await open();
    assert.ok((await live.nodes()).some(({ text }) => text.includes(name)));
    await live.panelOf('node', `shop/${name}`);
    await live.panelOf('edge', renamed.edges[0]?.id ?? '');
    assert.match((await live.problems())[0]?.text ?? '', /<img src=x/);
    assert.equal(await live.evaluate('document.querySelectorAll("main img, body script").length'), 0);
  });

  it('keeps everything in its place when others come, and stands still when paused', async () => {
    const graph = exampleGraph(12);
    server.fixture.graph = graph;
    const live = await open();
    const places = () =>
      live.evaluate<Record<string, string>>(
        `Object.fromEntries([...document.querySelectorAll('[data-node]')].map((n) => [n.dataset.node, n.style.transform]))`,
      );
    const first = await places();
    server.fixture.graph = exampleGraph(15, 1);
    server.tell();
    await live.waitForText('15 services', '.headline');
    const second = await places();
    const across = (transform = '') => /translate\((-?\d+)px/.exec(transform)?.[1];
    for (const id of Object.keys(first)) assert.equal(across(second[id]), across(first[id]), id);
    await live.press('p');
    await live.waitForText('Paused at', '.link-state');
    server.fixture.graph = graph;
    server.tell();
    await live.goTo('#/graph?trouble=0');
    assert.equal((await live.nodes()).length, 15);
    await live.press('p');
    await live.waitForText('12 services', '.headline');
  });

  it('says since when it is lost, and comes back with the server', async () => {
    const live = await open();
    await server.close();
    await live.waitForText(/The connection to the controller is lost since \d\d:\d\d:\d\d/, '#banner');
    server.fixture.graph = exampleGraph(5);
    await server.start();
    await live.waitForText('5 services', '.headline');
    await live.waitFor('#banner[hidden]');
    assert.equal(await live.textOf('.link-state'), 'Live');
  });

  it('draws 300 services, and paints nothing where nothing moves', async (t) => {
    server.fixture.graph = exampleGraph(300);
    const live = await open();
    assert.equal((await live.nodes()).length, 300);
    assert.equal((await live.edges()).length, server.fixture.graph.edges.length);
    t.diagnostic(`300 services: ${(await live.framesPerSecond(1_000)).toFixed(0)} frames a second`);
    await live.emulate({ reducedMotion: true });
    await live.goTo('#/graph');
    const frames = await live.evaluate<number>(`new Promise((done) => {
      let frames = 0;
      const real = CanvasRenderingContext2D.prototype.clearRect;
      CanvasRenderingContext2D.prototype.clearRect = function (...all) { frames++; return real.apply(this, all); };
      setTimeout(() => done(frames), 300);
    })`);
    assert.equal(frames, 0);
  });
});

/** Within the page: texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, AA). */
const contrasts = `function () {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const paint = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (behind, colour) => { canvas.fillStyle = behind; canvas.fillRect(0, 0, 1, 1); return paint(colour); };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    const chain = [];
    for (let one = element; one; one = one.parentElement) chain.unshift(getComputedStyle(one).backgroundColor);
    let colour = 'rgb(255, 255, 255)';
    for (const next of chain) colour = 'rgb(' + over(colour, next).slice(0, 3).join(',') + ')';
    return colour;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement;
    if (!text.textContent.trim() || !element.checkVisibility() || element.closest('script, option, .track')) continue;
    const behind = ground(element);
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) opacity *= Number(getComputedStyle(one).opacity);
    const [colour, back] = [over(behind, getComputedStyle(element).color), paint(behind)];
    const [a, b] = [light(colour.map((v, at) => v * opacity + back[at] * (1 - opacity))), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push({ text: text.textContent.trim(), contrast: Math.round(contrast * 100) / 100 });
  }
  return found;
}`;
