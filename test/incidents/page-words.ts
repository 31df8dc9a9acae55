// What a person with a browser reads on the live page: a real Chromium, told by the controller of a lab.
import { LabMesh } from '../../src/cli/mesh.ts';
import { PageRelay } from '../../src/cli/page-relay.ts';
import { type LivePage, TestBrowser } from '../page/driver.ts';
import type { Incident } from './incident.ts';
import type { Scene } from './scene.ts';

/** Panels that are opened, of what is marked in the graph. */
const panelsMax = 16;

/** One window on the page of a scene, from `open` to `close`. */
export class PageWords {
  readonly #relay: PageRelay;
  readonly #browser: TestBrowser;
  readonly #live: LivePage;

  private constructor(relay: PageRelay, browser: TestBrowser, live: LivePage) {
    this.#relay = relay;
    this.#browser = browser;
    this.#live = live;
  }

  static async open({ lab }: Scene): Promise<PageWords> {
    const relay = new PageRelay(new LabMesh(lab.client));
    const url = await relay.start(0);
    const browser = await TestBrowser.start();
    return new PageWords(relay, browser, await browser.openPage(url));
  }

  /** Words of the incidents that are nowhere to be read; [] when all are there. */
  async without(incidents: readonly Incident[]): Promise<string[]> {
    const read = await this.#read();
    const missing = incidents.flatMap(({ name, page }) =>
      page.filter((words) => !words.test(read)).map((words) => `${name}: the page does not say ${words}`),
    );
    return missing.length === 0 ? [] : [...missing, read];
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#relay.close();
  }

  /** A line for each problem, proxy, service and edge, and all of the panels of what is not well. */
  async #read(): Promise<string> {
    const live = this.#live;
    const lines = (await live.problems()).map(({ text }) => text);
    await live.goTo('#/proxies');
    await live.waitFor('[data-proxy]');
    lines.push(await live.textOf('main'));
    await live.goTo('#/graph');
    const [nodes, edges] = [await live.nodes(), await live.edges()];
    lines.push(...[...nodes, ...edges].map(({ text }) => text));
    const marked = [
      ...nodes.map(({ id, state }) => ({ kind: 'node', id, state }) as const),
      ...edges.map(({ id, state }) => ({ kind: 'edge', id, state }) as const),
    ].filter(({ state }) => state !== 'ok');
    for (const { kind, id } of marked.slice(0, panelsMax)) lines.push(await live.panelOf(kind, id).catch(() => ''));
    return lines.join('\n');
  }
}
