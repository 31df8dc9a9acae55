// The twelve incidents of docs/runbook.md, each done to a running shop: the command finds the cause and says it in
// words, and the alert that should fire does, and no other. One lab and one Prometheus, with the metrics' own rows
// beforehand.
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
import { pageRows, pageWithout } from './page-rows.ts';
import { PageWords } from './page-words.ts';
import { renamedService } from './renamed-service.ts';
import { retryStorm } from './retry-storm.ts';
import { alertText, askedOf, firing, type Scene, startScene, until } from './scene.ts';
import { slowApplication } from './slow-application.ts';
import { slowWire } from './slow-wire.ts';
import { strictPlaintext } from './strict-plaintext.ts';
import { traceRows } from './trace-rows.ts';

const timeout = { timeout: 120_000 };
/** Renewed after 60 s: what does not renew is late while the other incidents take their time. */
const certificateTtl = '120s';
/** The machine that runs the tests may be busy: that something is late now and then is no fault of the mesh. */
const ofTheMachine = ['AmbientProxyOverloaded', 'AmbientWireSlow'];

/** Incidents that do not disturb each other: other callers, other services, other means. */
const together: readonly (readonly Incident[])[] = [
  [denyPolicy, strictPlaintext, misspeltSubset, renamedService, retryStorm, ejectedEndpoint],
  [slowApplication, slowWire, noConfiguration],
  [overloadedProxy],
  [nodeProxyDown],
];

describe('incidents', () => {
  let scene: Scene;
  /** Alerts of what was mended a moment ago: their windows are not over yet. */
  let fading: readonly string[] = [];

  before(async () => {
    scene = await startScene(certificateTtl);
  });
  after(() => scene?.close());

  metricsRows(() => scene);
  traceRows(() => scene);
  pageRows(() => scene);

  test('a healthy demo fires no alert', timeout, async () => {
    await until(async () => unexpected(await firing(scene), []));
  });

  let certificate: Promise<void> = Promise.resolve();
  test('a certificate that will not renew is noticed in its own time', timeout, async () => {
    await certificateNotRenewed.breakIt(scene.lab.client);
    certificate = shown(certificateNotRenewed).then(() => certificateNotRenewed.mend(scene.lab.client));
    certificate.catch(() => {}); // awaited below
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
      for (const one of some) test(`${one.name}: ${one.breaks}`, timeout, () => shown(one));
      if (some === together[0]) test('a browser shows them', timeout, () => shownInBrowser(some));
      test('no other alert fires', timeout, async () => {
        assert.deepEqual(unexpected(await firing(scene), [...some, certificateNotRenewed].flatMap(alertsOf)), []);
      });
    });
  }

  test(`${certificateNotRenewed.name}: ${certificateNotRenewed.breaks}`, timeout, () => certificate);

  test('when all is mended, no alert fires', timeout, async () => {
    fading = [];
    await until(async () => unexpected(await firing(scene), []));
  });

  test('these are all that the runbook has', () => {
    const done = [...together.flat(), certificateNotRenewed].map(({ name }) => name);
    assert.deepEqual(done.toSorted(), incidents.map(({ name }) => name).toSorted());
  });

  /** Waits until command, page and alert show it. */
  async function shown(incident: Incident): Promise<void> {
    await until(() => askedOf(scene, incident));
    await until(() => pageWithout(scene, incident));
    const { name, labels } = incident.alert;
    await until(async () => {
      const all = await firing(scene);
      const found = all.some((one) => {
        return one.labels['alertname'] === name && Object.entries(labels).every(([key, is]) => one.labels[key] === is);
      });
      return found ? [] : [`${name} ${JSON.stringify(labels)} does not fire`, ...all.map(alertText)];
    });
  }

  async function shownInBrowser(some: readonly Incident[]): Promise<void> {
    const page = await PageWords.open(scene);
    await until(() => page.without(some)).finally(() => page.close());
  }

  function unexpected(all: Awaited<ReturnType<typeof firing>>, names: readonly string[]): string[] {
    const known = [...names, ...fading, ...ofTheMachine];
    return all.filter(({ labels }) => !known.includes(labels['alertname'] ?? '')).map(alertText);
  }
});

function alertsOf({ alert, others = [] }: Incident): string[] {
  return [alert.name, ...others];
}
