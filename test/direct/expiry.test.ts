// Certificates that end: the session ends with them, on both sides, whichever side's it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { app, client, defaultAuthority, echo, read, resetOf } from './support/mesh.ts';
import { startPair } from './support/pair.ts';

const net = 37;
/** Long enough for the session to be made; certificates count in whole seconds. */
const livesMs = 3_000;

for (const side of ['n1', 'n2'] as const) {
  const whose = side === 'n1' ? "the client's" : "the server's";
  test(`a session ends when ${whose} certificate does, and the next one gets another`, async (context) => {
    const ends: number[] = [];
    const { n1, n2, web, cart, vip } = await startPair(context, net, {
      [side]: {
        onCertificateWanted: (identity: string, node: { send: (message: object) => void }) => {
          const isFirst = ends.length === 0;
          const end = Math.floor(Date.now() / 1000) * 1000 + (isFirst ? livesMs : 3_600_000);
          ends.push(end);
          node.send(defaultAuthority.issue(identity, end));
        },
      },
    });
    await app(context, cart, 8080, echo);
    const socket = await client(context, web, vip, 80);
    socket.write('alive');
    assert.equal((await read(socket, 5)).toString(), 'alive');
    assert.equal(await resetOf(socket), 'ECONNRESET');
    assert(Date.now() >= ends[0]! - 1_000, 'it lived as long as the certificate');
    const [out] = await n1.recorded(1);
    await n2.recorded(1);
    assert.notEqual(out?.flag, '-');
    const next = await client(context, web, vip, 80);
    next.write('again');
    assert.equal((await read(next, 5)).toString(), 'again');
    assert.equal(ends.length, 2, 'another certificate was asked for');
    next.resetAndDestroy();
  });
}
