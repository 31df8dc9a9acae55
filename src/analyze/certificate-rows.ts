// Every certificate of a mesh as a row: whose it is, how long it is good, and whether it was renewed in time.
import type { CertificatesView, CertificateView } from '../model/views.ts';

/** `late`: it should have been renewed at half of its life, and less than 40 % of it is left. */
export type CertState = 'ok' | 'ends soon' | 'late' | 'expired' | 'missing' | 'no answer';

export interface CertRow {
  readonly holder: string;
  readonly type: 'root' | 'issuer' | 'server' | 'leaf' | null;
  /** SPIFFE id, or the subject of what signs, or which server. */
  readonly identity: string;
  readonly serial: string | null;
  readonly notBefore: string | null;
  readonly notAfter: string | null;
  readonly daysLeft: number | null;
  readonly state: CertState;
  /** Why it is missing, or the stage of a rotation. */
  readonly note: string;
}

const dayMs = 86_400_000;
/** Whoever brings the issuer has to act by hand, and is told early. */
const issuerSoonDays = 30;
/** Renewed at a half; with less than this share of its life left, something keeps it from being renewed. */
const lateShare = 0.4;
/** States that call for somebody. */
export const badCertStates: readonly CertState[] = ['late', 'expired', 'missing', 'no answer'];

/** True for one that somebody has to do something about. */
export function isBadCert({ state }: CertRow): boolean {
  return badCertStates.includes(state);
}

/** Rows of what the controller has. */
export function authorityRows({ roots, issuer, servers, nextIssuerFrom }: CertificatesView, nowMs: number): CertRow[] {
  const next = nextIssuerFrom === null ? 'signs' : `signs until ${nextIssuerFrom}, when the next one begins`;
  const stages = {
    trusted: 'trusted',
    coming: 'handed out, signs later',
    going: 'handed out until nothing of it is valid',
  };
  return [
    ...roots.map((one) => row('controller', 'root', one.subject, one, nowMs, stages[one.stage])),
    row('controller', 'issuer', issuer.subject, issuer, nowMs, next),
    ...servers.map((one) => row('controller', 'server', one.server, one, nowMs, '')),
  ];
}

/** Rows of what a proxy has: its leaves alone, since what is above them is the controller's. */
export function leafRows(holder: string, certificates: readonly CertificateView[], nowMs: number): CertRow[] {
  return certificates.map(({ identity, reason, chain }) => {
    const leaf = chain.find(({ type }) => type === 'leaf');
    if (leaf === undefined) return { ...noCertificate(holder, 'missing', reason ?? 'it has been asked for'), identity };
    return row(holder, 'leaf', identity, leaf, nowMs, reason ?? '');
  });
}

/** A row for a holder without the certificate, with the reason as `note`. */
export function noCertificate(holder: string, state: CertState, note: string): CertRow {
  return {
    holder,
    type: null,
    identity: '',
    serial: null,
    notBefore: null,
    notAfter: null,
    daysLeft: null,
    state,
    note,
  };
}

function row(
  holder: string,
  type: NonNullable<CertRow['type']>,
  identity: string,
  { serial, notBefore, notAfter }: { serial: string; notBefore: string; notAfter: string },
  nowMs: number,
  note: string,
): CertRow {
  const leftMs = Date.parse(notAfter) - nowMs;
  const lifeMs = Date.parse(notAfter) - Date.parse(notBefore);
  const isAbove = type === 'root' || type === 'issuer';
  const isSoon = isAbove ? leftMs < issuerSoonDays * dayMs : leftMs < lifeMs * lateShare;
  const state: CertState = leftMs <= 0 ? 'expired' : !isSoon ? 'ok' : isAbove ? 'ends soon' : 'late';
  const daysLeft = Math.round((leftMs / dayMs) * 100) / 100;
  return { holder, type, identity, serial, notBefore, notAfter, daysLeft, state, note };
}
