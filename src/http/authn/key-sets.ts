// The keys that tokens are verified with: inline, or fetched when a token asks for them first, kept, and fetched again
// behind its back when they are old. One fetch at a time per address; a fetch that fails keeps the keys of before.
import type { createLocalJWKSet, JSONWebKeySet } from 'jose';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { JwtRule } from '../../model/route-types.ts';
import { jose } from './packages.ts';

export type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Fetches a text. Throws when it cannot be had in `timeoutMs`, is too large, or the answer is not 200. */
export type FetchText = (url: string, timeoutMs: number) => Promise<string>;

/** Keys older than this are fetched again (Istio's interval). */
export const keyRefreshMs = 20 * 60_000;
/** A token with an unknown key makes us look again, but not more often than this. */
export const keyMissIntervalMs = 10_000;
/** After a fetch that failed. */
export const keyRetryMs = 5_000;
/** Addresses that are held. */
const sourcesMax = 1024;

/** The keys of one address. */
class RemoteKeys {
  readonly #rule: JwtRule;
  readonly #fetchText: FetchText;
  #keys: KeySet | null = null;
  #fetchedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #fetching: Promise<KeySet> | null = null;

  constructor(rule: JwtRule, fetchText: FetchText) {
    this.#rule = rule;
    this.#fetchText = fetchText;
  }

  get(nowMs: number): KeySet | Promise<KeySet> {
    if (this.#keys === null) return this.#fetch(nowMs);
    const isOld = nowMs - this.#fetchedMs > keyRefreshMs && nowMs - this.#triedMs > keyRetryMs;
    if (isOld && this.#fetching === null) this.#fetch(nowMs).catch(() => undefined);
    return this.#keys;
  }

  /** Newer keys than those that did not fit; null when it is too early to look again. */
  again(nowMs: number): Promise<KeySet> | null {
    if (this.#fetching !== null) return this.#fetching;
    return nowMs - this.#triedMs < keyMissIntervalMs ? null : this.#fetch(nowMs);
  }

  #fetch(nowMs: number): Promise<KeySet> {
    if (this.#fetching !== null) return this.#fetching;
    if (nowMs - this.#triedMs < keyRetryMs && this.#keys === null) {
      return Promise.reject(new MeshError('NOT_REACHABLE', { what: this.#title, reason: 'it failed just now', hint }));
    }
    this.#triedMs = nowMs;
    this.#fetching = this.#load().then(
      (keys) => {
        this.#keys = keys;
        this.#fetchedMs = nowMs;
        this.#fetching = null;
        return keys;
      },
      (error: unknown) => {
        this.#fetching = null;
        throw new MeshError('NOT_REACHABLE', { what: this.#title, reason: messageOf(error), hint }, { cause: error });
      },
    );
    return this.#fetching;
  }

  async #load(): Promise<KeySet> {
    const { timeoutMs, issuers } = this.#rule;
    let { jwksUri } = this.#rule;
    if (jwksUri === '') {
      const issuer = issuers[0]!.replace(/\/$/, '');
      const text = await this.#fetchText(`${issuer}/.well-known/openid-configuration`, timeoutMs);
      jwksUri = String((JSON.parse(text) as { jwks_uri?: unknown }).jwks_uri);
    }
    return keySetOf(await this.#fetchText(jwksUri, timeoutMs));
  }

  get #title(): string {
    return `the key set of ${this.#rule.jwksUri || this.#rule.issuers[0]}`;
  }
}

const hint = 'tokens of that issuer are refused meanwhile';

/** The key sets of all rules of a thread. */
export class KeySets {
  readonly #fetchText: FetchText;
  readonly #remote = new Map<string, RemoteKeys>();
  readonly #inline = new WeakMap<JwtRule, KeySet>();

  constructor(fetchText: FetchText) {
    this.#fetchText = fetchText;
  }

  /**
   * The keys of a rule; a promise only where they have to be fetched. Throws or rejects with NOT_REACHABLE or
   * INPUT_UNREADABLE.
   */
  get(rule: JwtRule, nowMs: number): KeySet | Promise<KeySet> {
    if (rule.jwks === '') return this.#remoteOf(rule).get(nowMs);
    const known = this.#inline.get(rule);
    if (known !== undefined) return known;
    const keys = keySetOf(rule.jwks);
    this.#inline.set(rule, keys);
    return keys;
  }

  /** Looks whether there are newer keys; null where there cannot be. */
  again(rule: JwtRule, nowMs: number): Promise<KeySet> | null {
    return rule.jwks === '' ? this.#remoteOf(rule).again(nowMs) : null;
  }

  #remoteOf(rule: JwtRule): RemoteKeys {
    const id = rule.jwksUri || `issuer ${rule.issuers[0]}`;
    const known = this.#remote.get(id);
    if (known !== undefined) return known;
    const made = new RemoteKeys(rule, this.#fetchText);
    this.#remote.set(id, made);
    const [oldest] = this.#remote.keys();
    if (this.#remote.size > sourcesMax && oldest !== undefined) this.#remote.delete(oldest);
    return made;
  }
}

function keySetOf(text: string): KeySet {
  try {
    return jose().createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: 'a key set', reason: messageOf(error) }, { cause: error });
  }
}
