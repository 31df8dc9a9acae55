// Asks the controller for certificates over IstioCertificateService: what a node proxy's CertificateManager signs with.
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { isMeshError, MeshError } from '../base/errors.ts';
import type { SignedChain, SignRequest } from '../identity/certificate-manager.ts';
import { splitCertificates } from '../identity/pem.ts';
import {
  type Channel,
  type ControllerAccess,
  callHeaders,
  openChannel,
  readSmallFile,
  rootCauseOf,
} from './channel.ts';
import { IstioCertificateRequestSchema, IstioCertificateService } from './generated/certificate_pb.ts';

export interface CertificateClientOptions extends ControllerAccess {
  readonly clusterId: string;
}

const callTimeoutMs = 10_000;

/** One connection to the authority, opened when needed and again when it breaks or the roots change. */
export class CertificateClient {
  readonly #options: CertificateClientOptions;
  #channel: Promise<Channel> | null = null;
  #channelRoots = '';
  #isClosed = false;

  constructor(options: CertificateClientOptions) {
    this.#options = options;
  }

  /**
   * Has one request signed; fits `CertificateManagerOptions.sign`. Roots and token are read again for every call.
   * Throws CA_REFUSED when the authority says no, NOT_REACHABLE when it cannot be asked, INPUT_UNREADABLE for a missing
   * file.
   */
  sign = async (request: SignRequest, signal: AbortSignal): Promise<SignedChain> => {
    const { identity } = request;
    const message = create(IstioCertificateRequestSchema, {
      csr: request.csrPem,
      validityDuration: BigInt(Math.floor(request.ttlMs / 1000)),
      metadata: { ImpersonatedIdentity: identity },
    });
    try {
      const channel = await this.#connected();
      const client = createClient(IstioCertificateService, channel.transport);
      const headers = await callHeaders(this.#options, this.#options.clusterId);
      const response = await client.createCertificate(message, { headers, signal, timeoutMs: callTimeoutMs });
      return chainOf(identity, response.certChain);
    } catch (error) {
      throw this.#explained(identity, error);
    }
  };

  /** Closes the connection; calls under way fail. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  async #connected(): Promise<Channel> {
    const roots = await readSmallFile(this.#options.rootsFile);
    if (this.#isClosed) throw this.#unreachable('closed');
    const isOpen = await this.#channel?.then(
      (channel) => channel.isOpen(),
      () => false,
    );
    if (isOpen === false || roots !== this.#channelRoots) this.#drop();
    if (this.#channel === null) {
      this.#channelRoots = roots;
      const channel = openChannel(this.#options.url, roots);
      this.#channel = channel;
      channel.catch(() => {
        if (this.#channel === channel) this.#channel = null;
      });
    }
    return this.#channel;
  }

  #drop(): void {
    const channel = this.#channel;
    this.#channel = null;
    channel?.then((open) => open.close()).catch(() => {}); // a channel that never opened has nothing to close
  }

  #explained(identity: string, error: unknown): MeshError {
    if (isMeshError(error)) return error;
    const failure = ConnectError.from(error);
    const refusals: readonly Code[] = [Code.Unauthenticated, Code.PermissionDenied, Code.InvalidArgument];
    if (refusals.includes(failure.code)) {
      return new MeshError(
        'CA_REFUSED',
        { identity, reason: failure.rawMessage || Code[failure.code] },
        { cause: error },
      );
    }
    // The connection itself may be dead: the next call opens a new one.
    this.#drop();
    return this.#unreachable(rootCauseOf(error), error);
  }

  #unreachable(reason: string, cause?: unknown): MeshError {
    const details = { what: this.#options.url, reason, hint: 'is the controller running and the address right?' };
    return new MeshError('NOT_REACHABLE', details, { cause });
  }
}

/** The last element is the trust bundle, whatever stands before it the chain (ambient-l4 §7.1). */
function chainOf(identity: string, elements: readonly string[]): SignedChain {
  const rootsPem = splitCertificates(elements.at(-1) ?? '');
  const chainPem = elements.slice(0, -1).flatMap(splitCertificates);
  if (chainPem.length === 0 || rootsPem.length === 0) {
    throw new MeshError('CA_REFUSED', { identity, reason: 'the answer holds no chain' });
  }
  return { chainPem, rootsPem };
}
