// The twelve incidents of docs/runbook.md, each done to a running shop: the command finds the cause and says it in
// words, so does the live page in a real browser, and the alert that should fire does, and no other. One lab, one
// Prometheus and one Chromium, with the metrics' own rows beforehand.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { incidents } from './all.ts';
import { certificateNotRenewed } from './certificate-not-renewed.ts';
import { denyPolicy } from './deny-policy.ts';
import { ejectedEndpoint } from './ejected-endpoint.ts';
import type { Incident } from './incident.ts';
import { expositionRows, metricsRows } from './metrics-rows.ts';
import { misspeltSubset } from './misspelt-subset.ts';
import { noConfiguration } from './no-configuration.ts';
import { nodeProxyDown } from './node-proxy-down.ts';
import { overloadedProxy } from './overloaded-proxy.ts';
import { PageReader } from './page-reader.ts';
import { pageRows } from './page-rows.ts';
import type { ActiveAlert } from './prometheus.ts';
import { renamedService } from './renamed-service.ts';
import { retryStorm } from './retry-storm.ts';
import { alertText, askedOf, firing, type Scene, startScene, until } from './scene.ts';
import { slowApplication } from './slow-application.ts';
import { slowWire } from './slow-wire.ts';
import { strictPlaintext } from './strict-plaintext.ts';
import { traceRows } from './trace-rows.ts';

const timeout = { timeout: 200_000 };
/** Quantiles of the page are over a minute: on a busy machine that may have to be over first. */
const pageDeadlineMs = 90_000;
/** Renewed after 60 s: what does not renew is late while the other incidents take their time. */
const certificateTtl = '120s';
/** It may have been renewed a moment before: then it is late after 72 s. */
const certificateDeadlineMs = 110_000;
/** The machine that runs the tests may be busy: that something is late now and then is no fault of the mesh. */
const ofTheMachine = ['AmbientProxyOverloaded', 'AmbientWireSlow'];

/**
 * Incidents that do not disturb each other: other callers, other services, other means. What is slow comes before what
 * is refused at once: the page's quantiles are over a minute.
 */
const together: readonly (readonly Incident[])[] = [
  [slowApplication, slowWire, noConfiguration],
  [denyPolicy, strictPlaintext, misspeltSubset, renamedService, retryStorm, ejectedEndpoint],
  [overloadedProxy],
  [nodeProxyDown],
];

describe('incidents', () => {
  let scene: Scene;
  let page: PageReader;
  /** Alerts of what was mended a moment ago: their windows are not over yet. */
  let fading: readonly string[] = [];

  before(async () => {
    scene = await startScene(certificateTtl);
    page = await PageReader.open(scene);
  });
  after(async () => {
    await page?.close();
    await scene?.close();
  });

  metricsRows(() => scene);
  traceRows(() => scene);
  pageRows(() => scene);

  test('a healthy demo fires no alert', timeout, async () => {
    await until(async () => unexpected(await firing(scene), []));
  });

  test('the page says none of it beforehand', timeout, async () => {
    const machines = incidents.filter(({ alert }) => ofTheMachine.includes(alert.name));
    for (const { name, sights } of incidents.filter((one) => !machines.includes(one))) {
      for (const one of sights) assert.notDeepEqual(await page.without([one]), [], `${name}: ${one.place}`);
    }
  });

  let certificate: Promise<string> = Promise.resolve('');
  let mended: Promise<void> = Promise.resolve();
  test('a certificate that will not renew is noticed in its own time', timeout, async () => {
    await certificateNotRenewed.breakIt(scene.lab.client);
    certificate = shown(certificateNotRenewed, certificateDeadlineMs);
    mended = certificate.then(() => certificateNotRenewed.mend(scene.lab.client));
    mended.catch(() => {}); // awaited below
  });
  expositionRows(() => scene);

  for (const some of together) {
    describe(some.map(({ name }) => name).join(', '), () => {
      before(async () => {
        for (const one of some) await one.breakIt(scene.lab.client);
      });
      after(async () => {
        for (const one of some) await one.mend(scene.lab.client);
        fading = some.flatMap(alertsOf);
      });
      for (const one of some) {
        test(`${one.name}: ${one.breaks}`, timeout, async (t) => t.diagnostic(await shown(one)));
      }
      test('no other alert fires', timeout, async () => {
        assert.deepEqual(unexpected(await firing(scene), [...some, certificateNotRenewed].flatMap(alertsOf)), []);
      });
    });
  }

  test(`${certificateNotRenewed.name}: ${certificateNotRenewed.breaks}`, timeout, async (t) => {
    t.diagnostic(await certificate);
    await mended;
  });

  test('when all is mended, no alert fires', timeout, async () => {
    fading = [];
    await until(async () => unexpected(await firing(scene), []));
  });

  test('these are all that the runbook has', () => {
    const done = [...together.flat(), certificateNotRenewed].map(({ name }) => name);
    assert.deepEqual(done.toSorted(), incidents.map(({ name }) => name).toSorted());
  });

  /** Waits until command, page and alert show it; returns how long each took. */
  async function shown({ sights, alert, ...incident }: Incident, deadlineMs?: number): Promise<string> {
    const told = await timed(until(() => askedOf(scene, incident), deadlineMs));
    const seen = await timed(until(() => page.without(sights), pageDeadlineMs));
    const fired = await timed(until(async () => missingFrom(await firing(scene), alert)));
    return `command ${told}, page ${seen}, alert ${fired}`;
  }

  function unexpected(all: Awaited<ReturnType<typeof firing>>, names: readonly string[]): string[] {
    const known = [...names, ...fading, ...ofTheMachine];
    return all.filter(({ labels }) => !known.includes(labels['alertname'] ?? '')).map(alertText);
  }
});

function missingFrom(all: readonly ActiveAlert[], { name, labels }: Incident['alert']): string[] {
  const wanted = Object.entries({ alertname: name, ...labels });
  const found = all.some((one) => wanted.every(([key, is]) => one.labels[key] === is));
  return found ? [] : [`${name} ${JSON.stringify(labels)} does not fire`, ...all.map(alertText)];
}

async function timed(done: Promise<void>): Promise<string> {
  const startedMs = performance.now();
  await done;
  return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
}

function alertsOf({ alert, others = [] }: Incident): string[] {
  return [alert.name, ...others];
}
