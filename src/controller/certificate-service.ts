// IstioCertificateService: a node proxy gets certificates for the identities of pods on its own node, a waypoint for
// its own identity, and none of them for any other.
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import {
  type IstioCertificateRequest,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
  IstioCertificateService,
} from '../discovery/generated/certificate_pb.ts';
import type { CertificateAuthority } from '../identity/certificate-authority.ts';
import { type CertificateRequest, parseCsr } from '../identity/csr.ts';
import { formatSpiffeId, tryParseSpiffeId } from '../identity/spiffe.ts';
import type { SpiffeId } from '../model/types.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Caller } from './authenticate.ts';
import type { Gate } from './gate.ts';

export interface CertificateServiceOptions {
  readonly authority: CertificateAuthority;
  readonly gate: Gate;
  readonly trustDomain: string;
  readonly ttlMs: number;
  readonly ttlMaxMs: number;
  /** True when a pod with this identity that is no waypoint is scheduled on the node and has not finished. */
  readonly hasIdentityOnNode: (identity: SpiffeId, node: string) => boolean;
  /** Certificates of the identity whose validity begins before this are revoked; 0 for none. */
  readonly issuedBeforeMs: (identity: SpiffeId) => number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly issued: () => void;
  /** Called with the reason when the authority cannot sign for who may have it. */
  readonly failed?: (reason: string) => void;
}

const call = 'certificate';
/** Larger than any request for one certificate. */
const requestBytesMax = 16 * 1024;
/** A revocation of all until now is over within a second: who asks before that gets its answer then. */
const patienceMs = 2_000;

/** Signs for proxies; every refusal goes through the gate, which tells the caller nothing. */
export class CertificateService {
  readonly #options: CertificateServiceOptions;

  constructor(options: CertificateServiceOptions) {
    this.#options = options;
  }

  /** Adds the service to a router of connect. */
  routes(router: ConnectRouter): void {
    const implementation = {
      createCertificate: (request: IstioCertificateRequest, context: HandlerContext) => this.#create(request, context),
    };
    router.service(IstioCertificateService, implementation, { readMaxBytes: requestBytesMax });
  }

  async #create(request: IstioCertificateRequest, context: HandlerContext): Promise<IstioCertificateResponse> {
    const { authority, gate, issuedBeforeMs, log, issued, failed } = this.#options;
    const caller = await gate.caller(context.requestHeader, call);
    const csr = this.#parse(caller, request.csr);
    const identity = this.#allowed(caller, request, csr);
    try {
      const earliestMs = wholeSecond(issuedBeforeMs(identity));
      await this.#wait(earliestMs);
      const { chainPem, notAfterMs } = authority.issueWorkload(identity, csr.spki, this.#ttlMs(request), earliestMs);
      issued();
      log.info({ identity, node: caller.node, notAfter: new Date(notAfterMs).toISOString() }, 'issued a certificate');
      // The last element is the trust bundle: that is where proxies take their roots from (ambient-l4 §7.1).
      return create(IstioCertificateResponseSchema, { certChain: [...chainPem, authority.rootsPem().join('')] });
    } catch (error) {
      const reason = messageOf(error);
      log.error({ identity, node: caller.node, reason }, 'cannot issue a certificate');
      failed?.(reason);
      throw new ConnectError('the certificate authority cannot sign now', Code.Unavailable);
    }
  }

  async #wait(untilMs: number): Promise<void> {
    const { clock } = this.#options;
    const waitMs = untilMs - clock.now();
    if (waitMs <= 0 || waitMs > patienceMs) return;
    await new Promise<void>((resolve) => {
      clock.after(waitMs, resolve);
    });
  }

  /**
   * The identity that was asked for, if the caller may have it: by the metadata, or by the request itself, as a ztunnel
   * that serves one workload does. Without either it is the caller's own.
   */
  #allowed(caller: Caller, request: IstioCertificateRequest, csr: CertificateRequest): SpiffeId {
    const { trustDomain, gate, hasIdentityOnNode } = this.#options;
    const { kind, namespace, serviceAccount, node } = caller;
    const own = formatSpiffeId({ trustDomain, namespace, serviceAccount });
    const asked = request.metadata?.ImpersonatedIdentity ?? csr.uris[0];
    const identity = asked === undefined ? own : asked;
    const parts = typeof identity === 'string' ? tryParseSpiffeId(identity) : null;
    if (typeof identity !== 'string' || parts === null) {
      throw gate.refuse(
        call,
        `node ${node} asks for ${JSON.stringify(asked).slice(0, 300)}, which is no SPIFFE id`,
        Code.Unauthenticated,
      );
    }
    if (parts.trustDomain !== trustDomain) {
      throw gate.refuse(
        call,
        `node ${node} asks for ${identity}; the trust domain is ${trustDomain}`,
        Code.Unauthenticated,
      );
    }
    if (kind === 'waypoint' && identity !== own) {
      throw gate.refuse(call, `the waypoint ${own} asks for ${identity}`, Code.Unauthenticated);
    }
    if (kind === 'node' && !hasIdentityOnNode(identity, node)) {
      throw gate.refuse(
        call,
        `node ${node} asks for ${identity}, and no pod on it has that identity`,
        Code.Unauthenticated,
      );
    }
    const other = csr.uris.find((uri) => uri !== identity);
    if (other === undefined) return identity;
    throw gate.refuse(call, `node ${node} asks for ${identity} with a request for ${other}`, Code.InvalidArgument);
  }

  #parse(caller: Caller, pem: string): CertificateRequest {
    try {
      return parseCsr(pem);
    } catch (error) {
      throw this.#options.gate.refuse(call, `node ${caller.node}: ${messageOf(error)}`, Code.InvalidArgument);
    }
  }

  #ttlMs(request: IstioCertificateRequest): number {
    const { ttlMs, ttlMaxMs } = this.#options;
    const askedMs = Number(request.validityDuration) * 1000;
    return Math.min(askedMs > 0 ? askedMs : ttlMs, ttlMaxMs);
  }
}

/** Certificates count in whole seconds. */
function wholeSecond(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}
