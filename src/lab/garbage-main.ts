// A controller gone mad, for `lab fault garbage`: proves to be the controller, takes every call, and answers with
// streams of bytes that are no messages, sometimes none at all. Its arguments: the folder of the authority, the port.
import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { systemClock } from '../base/clock.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { fabricAddresses } from './addresses.ts';
import { trustDomain } from './system-config.ts';

const lifeMs = 3_600_000;
const frameHeadBytes = 5;
const messageBytesMax = 20_000;
const everyMs = 50;
const messagesMax = 20;

/** A gRPC message: a head that is right around a body that is not, or a head that is not. */
function garbage(): Buffer {
  const body = randomBytes(randomInt(messageBytesMax));
  const head = Buffer.alloc(frameHeadBytes);
  head.writeUInt32BE(randomInt(8) === 0 ? 0xffffffff : body.length, 1);
  return Buffer.concat([randomInt(8) === 0 ? randomBytes(frameHeadBytes) : head, body]);
}

function answer(stream: ServerHttp2Stream): void {
  stream.on('error', () => undefined);
  stream.resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' });
  let left = randomInt(messagesMax);
  const timer = setInterval(() => {
    if (stream.destroyed || left-- <= 0) {
      clearInterval(timer);
      stream.end();
    } else stream.write(garbage());
  }, everyMs);
  stream.on('close', () => clearInterval(timer));
}

const [dir = '', port = '0'] = process.argv.slice(2);
const authority = new CertificateAuthority({ dir, trustDomain, clock: systemClock });
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { chainPem } = authority.issueServer([...fabricAddresses], keys.publicKey, lifeMs);
const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
const server = createSecureServer({ key, cert: chainPem.join('\n') });
server.on('stream', answer);
server.on('sessionError', () => undefined);
server.listen(Number(port), () => process.stdout.write('ready\n'));
