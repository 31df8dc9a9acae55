// What somebody tries who has got into a network namespace of the lab: CONNECTs with whatever names and claims,
// requests for certificates with whatever token, connections from an address that is not theirs. Says on stdout what
// came of it.
import { generateKeyPairSync } from 'node:crypto';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { CertificateClient } from '../../src/discovery/certificate-client.ts';
import { createCsr } from '../../src/identity/csr.ts';
import type { Attempt, ConnectAttempt, TokenAttempt } from './intruder.ts';

const answerMs = 8_000;
/** How long bytes behind an answer are waited for. */
const greetingMs = 2_000;

async function tunnel({ host, key, cert, requests }: ConnectAttempt): Promise<object> {
  const credentials = cert === '' ? {} : { key, cert };
  const options = { host, port: 15008, ALPNProtocols: ['h2'], rejectUnauthorized: false, ...credentials };
  const socket = connectTls(options);
  return await new Promise((resolve) => {
    const failed = (error: Error): void => resolve({ error: error.message, answers: [] });
    socket.on('error', failed);
    socket.on('close', () => resolve({ error: 'closed', answers: [] }));
    socket.on('secureConnect', () => void connects(socket, requests, failed).then((answers) => resolve({ answers })));
  });
}

async function connects(
  socket: TLSSocket,
  requests: ConnectAttempt['requests'],
  failed: (error: Error) => void,
): Promise<object[]> {
  const session = connectHttp2('https://tunnel', { createConnection: () => socket });
  session.on('error', failed);
  return await Promise.all(
    requests.map(
      ({ authority, forwarded }) =>
        new Promise<object>((resolve) => {
          const stream = session.request({
            [constants.HTTP2_HEADER_METHOD]: 'CONNECT',
            [constants.HTTP2_HEADER_AUTHORITY]: authority,
            ...(forwarded === undefined ? {} : { forwarded }),
          });
          let status = 0;
          const done = (words: string): void => resolve({ status, text: words });
          stream.on('error', () => done(''));
          stream.on('data', (chunk: Buffer) => done(chunk.toString()));
          stream.on('close', () => done(''));
          stream.on('response', (headers) => {
            status = Number(headers[constants.HTTP2_HEADER_STATUS]);
            setTimeout(() => done(''), greetingMs);
          });
        }),
    ),
  );
}

async function certificates({ url, rootsFile, clusterId, requests }: TokenAttempt): Promise<object> {
  const outcomes: string[] = [];
  for (const { tokenFile, identity } of requests) {
    const client = new CertificateClient({ url, rootsFile, tokenFile, clusterId });
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csrPem = createCsr(identity, { publicKey, privateKey });
    const outcome = await client.sign({ identity, csrPem, ttlMs: 60_000 }, AbortSignal.timeout(answerMs)).then(
      () => 'issued',
      (error: Error) => error.message,
    );
    outcomes.push(outcome);
    client.close();
  }
  return { outcomes };
}

function spoof(from: { localAddress: string; host: string; port: number }): Promise<object> {
  return new Promise((resolve) => {
    const socket = connectTcp(from);
    socket.on('connect', () => resolve({ outcome: 'connected' }));
    socket.on('error', (error) => resolve({ outcome: error.message }));
    setTimeout(() => resolve({ outcome: 'no answer' }), greetingMs);
  });
}

const attempt = JSON.parse(await text(process.stdin)) as Attempt;
const late = new Promise<object>((resolve) =>
  setTimeout(() => resolve({ error: 'no answer', answers: [], outcomes: [] }), answerMs).unref(),
);
const work =
  attempt.op === 'tunnel' ? tunnel(attempt) : attempt.op === 'certificates' ? certificates(attempt) : spoof(attempt);
process.stdout.write(JSON.stringify(await Promise.race([work, late])), () => process.exit(0));
