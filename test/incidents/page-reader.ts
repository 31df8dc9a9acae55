// What a person with a browser reads on the live page: a real Chromium, told by the controller of a lab. One window for
// all incidents, opened before the first of them: a page that is left open for as long as something is wrong.
import { LabMesh } from '../../src/cli/mesh.ts';
import { PageRelay } from '../../src/cli/page-relay.ts';
import { type LivePage, TestBrowser } from '../page/driver.ts';
import type { Scene } from './scene.ts';
import type { Sight } from './sight.ts';

/** Beside an open panel there is room for the words on the cards of services. */
const size = { width: 1680, height: 1050 } as const;

/** One window on the page of a scene, from `open` to `close`. */
export class PageReader {
  readonly #relay: PageRelay;
  readonly #browser: TestBrowser;
  readonly #live: LivePage;
  /** Who looks at one place keeps others from turning the page meanwhile. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(relay: PageRelay, browser: TestBrowser, live: LivePage) {
    this.#relay = relay;
    this.#browser = browser;
    this.#live = live;
  }

  static async open({ lab }: Scene): Promise<PageReader> {
    const relay = new PageRelay(new LabMesh(lab.client));
    const browser = await TestBrowser.start();
    try {
      // What moves along edges is painted sixty times a second, by the processor that the lab needs.
      const live = await browser.openPage(await relay.start(0), { ...size, reducedMotion: true });
      return new PageReader(relay, browser, live);
    } catch (error) {
      await browser.close();
      await relay.close();
      throw error;
    }
  }

  /** A line for each of the words that are not to be seen in their place; [] when all are there. */
  without(sights: readonly Sight[]): Promise<string[]> {
    const read = this.#turn.then(async () => (await Array.fromAsync(sights, (one) => this.#missing(one))).flat());
    this.#turn = read.catch(() => {});
    return read;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#relay.close();
  }

  async #missing({ place, hash, says }: Sight): Promise<string[]> {
    const live = this.#live;
    await live.goTo(hash);
    if (hash.includes('=')) await live.waitFor('#panel:is([data-state="told"], [data-state="gone"])');
    const missing: string[] = [];
    for (const [selector, words] of says) {
      const seen = await live.seenOf(selector);
      if (!words.test(seen)) missing.push(`${place}: ${selector} does not say ${words}, but: ${seen}`);
    }
    return missing;
  }
}
