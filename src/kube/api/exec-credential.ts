// Credentials that a program prints (`client.authentication.k8s.io`), kept until they expire or are refused.
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { MeshError, messageOf } from '../../base/errors.ts';
import { isMapping, type ObjectReader } from '../object-reader.ts';
import type { TlsSettings } from './access.ts';

const execTimeoutMs = 60_000;
const outputBytesMax = 1024 * 1024;
/** Asked for anew so long before the end. */
const marginMs = 30_000;
const versions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'] as const;

interface Credential {
  readonly token: string | null;
  readonly tls: TlsSettings;
  readonly expiresAtMs: number;
}

/** The program that the `exec` of a kubeconfig names. It is never run twice at a time. */
export class ExecCredential {
  readonly #command: string;
  readonly #arguments: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #info: string;
  #current: Credential | null = null;
  #running: Promise<Credential> | null = null;

  /** Throws CONFIG_INVALID with the place of what is wrong. */
  constructor(exec: ObjectReader, folder: string) {
    const apiVersion = exec.oneOf('apiVersion', versions);
    const command = exec.string('command');
    this.#command = command.includes('/') ? resolve(folder, command) : command;
    this.#arguments = exec.strings('args');
    this.#environment = Object.fromEntries(exec.objects('env').map((one) => [one.string('name'), one.string('value')]));
    this.#info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
  }

  /** The header, from the program when it is not known, expired or refused. Throws INPUT_UNREADABLE. */
  async authorization(isRefused: boolean): Promise<string | null> {
    if (isRefused || this.#current === null || Date.now() > this.#current.expiresAtMs - marginMs) {
      this.#running ??= this.#run().finally(() => {
        this.#running = null;
      });
      this.#current = await this.#running;
    }
    return this.#current.token === null ? null : `Bearer ${this.#current.token}`;
  }

  /** The client certificate that the program gave; empty before `authorization` was asked. */
  tls(): TlsSettings {
    return this.#current?.tls ?? {};
  }

  async #run(): Promise<Credential> {
    const output = await new Promise<string>((done, failed) => {
      const env = { ...process.env, ...this.#environment, KUBERNETES_EXEC_INFO: this.#info };
      const options = { env, timeout: execTimeoutMs, maxBuffer: outputBytesMax };
      execFile(this.#command, this.#arguments, options, (error, stdout) => {
        // What the program printed may hold a token: only its name and how it ended are told.
        if (error === null) done(stdout);
        else failed(this.#unusable(`it ended with ${error.code ?? error.signal ?? 'an error'}`));
      });
    });
    try {
      return credentialOf(JSON.parse(output));
    } catch (error) {
      throw this.#unusable(error instanceof SyntaxError ? 'it printed no JSON' : messageOf(error));
    }
  }

  #unusable(reason: string): MeshError {
    return new MeshError('INPUT_UNREADABLE', { place: this.#command, reason });
  }
}

function credentialOf(printed: unknown): Credential {
  const status = isMapping(printed) && isMapping(printed['status']) ? printed['status'] : {};
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = status;
  const tls = typeof cert === 'string' && typeof key === 'string' ? { cert, key } : {};
  if (typeof token !== 'string' && !('cert' in tls)) throw new TypeError('it printed no token and no certificate');
  const endMs = typeof expirationTimestamp === 'string' ? Date.parse(expirationTimestamp) : Number.NaN;
  return {
    token: typeof token === 'string' ? token : null,
    tls,
    expiresAtMs: Number.isNaN(endMs) ? Number.POSITIVE_INFINITY : endMs,
  };
}
