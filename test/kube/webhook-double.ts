// A validating webhook for the suite: says what it is told to say, or nothing.
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { ApiCredentials } from '../../src/lab/api-server/credentials.ts';
import type { Json } from './api-client.ts';

export interface WebhookDouble {
  readonly url: string;
  readonly caBundle: string;
  /** What it was asked, oldest first. */
  readonly asked: Json[];
  close(): Promise<void>;
}

/** Starts one whose answer to a request is `verdict`; null leaves the request without an answer. */
export async function startWebhook(host: string, verdict: (request: Json) => object | null): Promise<WebhookDouble> {
  const credentials = new ApiCredentials(Date.now());
  const { certPem, keyPem } = credentials.server([host]);
  const asked: Json[] = [];
  const server = https.createServer({ cert: certPem, key: keyPem }, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { request } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json;
      asked.push(request);
      const answer = verdict(request);
      if (answer === null) return;
      const review = {
        kind: 'AdmissionReview',
        apiVersion: 'admission.k8s.io/v1',
        response: { uid: request.uid, ...answer },
      };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(review));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://${host}:${port}/validate`,
    caBundle: Buffer.from(credentials.caPem).toString('base64'),
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
