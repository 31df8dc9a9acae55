// The gate in front of every call: authenticates, and turns refusals into answers that tell a stranger nothing and into
// log lines that tell the operator everything, though never more of them than a person can read.
import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock } from '../base/clock.ts';
import { isMeshError, messageOf } from '../base/errors.ts';
import type { Attendant, ProxyNode } from '../discovery/proxy-node.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type AuthenticatorOptions, authenticate, type Caller } from './authenticate.ts';

const refusalLinesPerSecond = 10;
/** The token may be good; there is nobody who can say so. */
const unanswered: readonly string[] = ['KUBE_API', 'NOT_REACHABLE', 'LIMIT_REACHED', 'INPUT_UNREADABLE'];

export interface GateOptions extends AuthenticatorOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Called for every refusal. */
  readonly refused: (call: string) => void;
}

/** Decides who may call; its errors are ConnectErrors without a reason. */
export class Gate {
  readonly #options: GateOptions;
  #second = 0;
  #linesThisSecond = 0;
  #unlogged = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /**
   * Who calls `call`; other replicas may only attend. Rejects with an opaque UNAUTHENTICATED; UNAVAILABLE when nobody
   * can be asked.
   */
  async caller(headers: Headers, call: 'discovery' | 'observe' | 'certificate'): Promise<Caller> {
    let caller: Caller;
    try {
      caller = await authenticate(headers.get('authorization'), this.#options);
    } catch (error) {
      if (isMeshError(error) && unanswered.includes(error.code)) {
        this.#say(call, messageOf(error), 'cannot find out who calls');
        throw new ConnectError('cannot authenticate now', Code.Unavailable);
      }
      throw this.refuse(call, messageOf(error), Code.Unauthenticated);
    }
    if (caller.kind !== 'controller' || call === 'observe') return caller;
    const reason = `pod ${caller.namespace}/${caller.pod} is a controller, and no proxy`;
    throw this.refuse(call, reason, Code.Unauthenticated);
  }

  /** The proxy that opens a discovery stream, and says it is `claimed`. */
  proxy(caller: Caller, claimed: Attendant): ProxyNode {
    const { kind, ...rest } = this.attendant(caller, claimed);
    if (kind !== 'controller') return { kind, ...rest };
    throw this.refuse('discovery', `${rest.namespace}/${rest.name} is no proxy`, Code.PermissionDenied);
  }

  /** Who opens a stream and says it is `claimed`: it must say the node that its token proves. */
  attendant(caller: Caller, claimed: Attendant): Attendant {
    if (claimed.nodeName !== caller.node) {
      const pod = `${caller.namespace}/${caller.pod}`;
      const reason = `pod ${pod} on node ${caller.node} claims node ${claimed.nodeName || '(none)'}`;
      throw this.refuse('discovery', reason, Code.PermissionDenied);
    }
    if (claimed.kind !== caller.kind) {
      const pod = `${caller.kind} proxy ${caller.namespace}/${caller.pod}`;
      const reason = `the ${pod} claims to be a ${claimed.kind}`;
      throw this.refuse('discovery', reason, Code.PermissionDenied);
    }
    const { namespace, serviceAccount } = caller;
    const waypoint = caller.kind === 'waypoint' ? { waypoint: `${namespace}/${serviceAccount}` } : {};
    return { ...claimed, ...waypoint, name: caller.pod, namespace: caller.namespace, nodeName: caller.node };
  }

  /** Logs and counts a refusal; returns the error to throw, which carries no reason. */
  refuse(call: string, reason: string, code: Code): ConnectError {
    this.#options.refused(call);
    this.#say(call, reason, 'refused a caller');
    return new ConnectError(code === Code.Unauthenticated ? 'not authenticated' : 'not allowed', code);
  }

  #say(call: string, reason: string, words: string): void {
    const { clock, log } = this.#options;
    const second = Math.floor(clock.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#linesThisSecond = 0;
    }
    if (this.#linesThisSecond < refusalLinesPerSecond) {
      this.#linesThisSecond++;
      const more = this.#unlogged > 0 ? { unlogged: this.#unlogged } : {};
      this.#unlogged = 0;
      log.warn({ call, reason, ...more }, words);
    } else {
      this.#unlogged++;
    }
  }
}
