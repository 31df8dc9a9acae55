// One attempt of a probe, as the kubelet makes it: httpGet, tcpSocket, exec, grpc. Runs in the node's agent, so that
// it comes from the node's own address.
import { spawn } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as tcpConnect } from 'node:net';
import { messageOf } from '../base/errors.ts';
import { formatHostPort } from '../base/ip.ts';

/** A probe with everything looked up: ports as numbers, the host as an address. */
export type ProbeAction =
  | {
      readonly kind: 'httpGet';
      readonly scheme: 'http' | 'https';
      readonly host: string;
      readonly port: number;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'tcpSocket'; readonly host: string; readonly port: number }
  | { readonly kind: 'grpc'; readonly host: string; readonly port: number; readonly service: string }
  | { readonly kind: 'exec'; readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };

/** Null when it passed, otherwise why it failed, in words. Never throws. */
export async function attemptProbe(action: ProbeAction, timeoutMs: number): Promise<string | null> {
  switch (action.kind) {
    case 'httpGet':
      return await httpGet(action, timeoutMs);
    case 'tcpSocket':
      return await tcpSocket(action, timeoutMs);
    case 'grpc':
      return await grpcHealth(action, timeoutMs);
    case 'exec':
      return await execute(action, timeoutMs);
  }
}

/** What a probe does, for a person. */
export function describeProbe(action: ProbeAction): string {
  switch (action.kind) {
    case 'httpGet':
      return `GET ${action.scheme}://${formatHostPort(action.host, action.port)}${action.path}`;
    case 'tcpSocket':
      return `connect to ${formatHostPort(action.host, action.port)}`;
    case 'grpc':
      return `grpc health of ${formatHostPort(action.host, action.port)}`;
    case 'exec':
      return `exec '${action.argv.join(' ')}'`;
  }
}

function httpGet(action: Extract<ProbeAction, { kind: 'httpGet' }>, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const send = action.scheme === 'https' ? httpsRequest : httpRequest;
    const { host, port, path } = action;
    const headers = { 'user-agent': 'kube-probe/1.34', accept: '*/*', connection: 'close', ...action.headers };
    const signal = AbortSignal.timeout(timeoutMs);
    const outgoing = send(
      { host, port, path, headers, agent: false, signal, rejectUnauthorized: false },
      (response) => {
        const status = response.statusCode ?? 0;
        response.on('error', () => {});
        response.resume();
        resolve(status >= 200 && status < 400 ? null : `HTTP status ${status}`);
        response.once('end', () => outgoing.destroy());
      },
    );
    outgoing.on('error', (error) => resolve(signal.aborted ? `no answer in ${timeoutMs} ms` : messageOf(error)));
    outgoing.end();
  });
}

function tcpSocket(action: Extract<ProbeAction, { kind: 'tcpSocket' }>, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = tcpConnect({ host: action.host, port: action.port });
    const finish = (result: string | null) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () => finish(`no answer in ${timeoutMs} ms`));
    socket.on('error', (error) => finish(messageOf(error)));
    socket.on('connect', () => finish(null));
  });
}

const servingStatus = 1;

/** `grpc.health.v1.Health/Check`, whose two messages are small enough to write by hand. */
function grpcHealth(action: Extract<ProbeAction, { kind: 'grpc' }>, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const session = http2Connect(`http://${formatHostPort(action.host, action.port)}`);
    const timer = setTimeout(() => finish(`no answer in ${timeoutMs} ms`), timeoutMs);
    const finish = (result: string | null) => {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    };
    session.on('error', (error) => finish(messageOf(error)));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let grpcStatus: string | undefined;
    stream.on('response', (headers) => {
      grpcStatus = headers['grpc-status'] as string | undefined;
    });
    stream.on('trailers', (trailers) => {
      grpcStatus = trailers['grpc-status'] as string | undefined;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', (error) => finish(messageOf(error)));
    stream.on('end', () => {
      if (grpcStatus !== '0') return finish(`grpc-status ${grpcStatus ?? 'missing'}`);
      const status = healthStatus(Buffer.concat(chunks));
      finish(status === servingStatus ? null : `health status ${status}, not SERVING`);
    });
    stream.end(healthRequest(action.service));
  });
}

/** A length-prefixed `HealthCheckRequest { string service = 1 }`. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length & 0x7f]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Field 1 of a `HealthCheckResponse`; 0 when it is not there. */
function healthStatus(body: Buffer): number {
  return body.length >= 7 && body[5] === 0x08 ? (body[6] as number) : 0;
}

function execute(action: Extract<ProbeAction, { kind: 'exec' }>, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const [command = '', ...args] = action.argv;
    const child = spawn(command, args, {
      stdio: 'ignore',
      env: { ...action.env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    child.on('error', (error) => resolve(messageOf(error)));
    child.on('exit', (code, signal) => {
      if (code === 0) return resolve(null);
      resolve(signal === null ? `exit code ${code}` : `no end in ${timeoutMs} ms`);
    });
  });
}
