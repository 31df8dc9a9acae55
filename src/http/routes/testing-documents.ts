// For tests: manifests as the documentation of Istio and Gateway API has readers apply them (`test/fixtures/routes`),
// and what their routes do, in a line.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { HeaderEdits, RouteRule, WeightedBackend } from '../../model/route-types.ts';
import { defaultRetry } from '../../model/routes/route-defaults.ts';
import { type CompiledRoutes, compileRouteText, hitOf, requestOf } from './testing-routes.ts';

const folder = path.join(import.meta.dirname, '../../../test/fixtures/routes');

/** A file with the documents of it, from 0; all of them without any. */
export type Page = readonly [file: string, ...documents: number[]];

/** A request `SERVICE:PORT [METHOD] TARGET` with its headers, and what becomes of it. */
export type RequestRow = readonly [request: string, outcome: string, ...headers: string[]];

export interface DocumentRow {
  readonly title: string;
  readonly pages: readonly Page[];
  readonly requests?: readonly RequestRow[];
  /** Every finding there is, remarks too; none where absent. */
  readonly findings?: readonly RegExp[];
  readonly check?: (compiled: CompiledRoutes) => void;
}

/** The text of a page. */
export function pageText([file, ...wanted]: Page): string {
  const documents = readFileSync(path.join(folder, `${file}.yaml`), 'utf8').split('---\n');
  const chosen =
    wanted.length === 0 ? documents : wanted.map((at) => documents[at] ?? assert.fail(`${file}: no ${at}`));
  return `---\n${chosen.join('---\n')}`;
}

/** A test per row: what is applied compiles with these findings and no others, and requests meet what they should. */
export function testDocuments(rows: readonly DocumentRow[]): void {
  for (const { title, pages, requests = [], findings = [], check } of rows) {
    test(title, () => {
      const compiled = compileRouteText(pages.map(pageText).join(''));
      const said = compiled.issues.map(
        ({ severity, kind, name, message }) => `${severity} ${kind} ${name}: ${message}`,
      );
      assert.equal(said.length, findings.length, `${said.length} findings:\n${said.join('\n')}`);
      for (const one of findings) assert.match(said.join('\n'), one);
      for (const [request, outcome, ...headers] of requests) {
        const [where = '', ...rest] = request.split(' ');
        const [service = '', port = '80'] = where.split(':');
        const hit = hitOf(compiled.table(service), Number(port), requestOf(rest.join(' '), headers));
        assert.equal(hit === null ? '404' : textOf(hit.rule), outcome, `${request} ${headers.join(', ')}`);
      }
      check?.(compiled);
    });
  }
}

/** What a rule does, but for what is as by default: `reviews/v1 x50, reviews/v3 x50; timeout 500`. */
export function textOf(rule: RouteRule): string {
  const { rewrite, fault, timeouts, retry, mirrors, cors } = rule;
  const isDefault = JSON.stringify({ ...retry, perTryTimeoutMs: 0 }) === JSON.stringify(defaultRetry);
  const codes = retry.statuses.length === 0 ? '' : ` codes ${retry.statuses.join()}`;
  const parts = [
    actionText(rule),
    editsText('request', rule.requestHeaders),
    editsText('response', rule.responseHeaders),
    rewrite?.authority == null ? '' : `host ${rewrite.authority}`,
    rewrite?.path == null ? '' : `${rewrite.path.kind} to ${rewrite.path.value}`,
    ...mirrors.map(
      (one) => `${one.fraction * 100} % to ${backendText(one.backend)}${one.shadowSuffix ? '-shadow' : ''}`,
    ),
    cors === null ? '' : `cors ${cors.allowMethods.join()} ${cors.maxAgeS} s`,
    fault?.delay == null ? '' : `delay ${fault.delay.fraction * 100} % by ${fault.delay.delayMs}`,
    fault?.abort == null ? '' : `abort ${fault.abort.fraction * 100} % with ${fault.abort.status}`,
    timeouts.requestMs === 0 ? '' : `timeout ${timeouts.requestMs}`,
    retry.perTryTimeoutMs + timeouts.perTryMs === 0 ? '' : `each try ${retry.perTryTimeoutMs || timeouts.perTryMs}`,
    isDefault ? '' : `retry ${retry.attempts} on ${retry.retryOn.join()}${codes} after ${retry.backoffBaseMs}`,
  ];
  return parts.filter((part) => part !== '').join('; ');
}

function actionText({ action }: RouteRule): string {
  switch (action.kind) {
    case 'forward':
      return action.backends.map((one) => weightedText(one, action.backends.length > 1)).join(', ');
    case 'redirect': {
      const { scheme, authority, path: change, status } = action.redirect;
      const changes = [scheme, authority, change === null ? null : `${change.kind} ${change.value}`];
      return `${status} to ${changes.filter((one) => one !== null).join(' ')}`;
    }
    case 'direct':
      return `${action.status} ${action.body}`;
    case 'invalid':
      return String(action.status);
  }
}

function weightedText(one: WeightedBackend, withWeight: boolean): string {
  const edits = [editsText('request', one.requestHeaders), editsText('response', one.responseHeaders)];
  const own = edits.filter((text) => text !== '').map((text) => ` (${text})`);
  return `${backendText(one)}${withWeight ? ` x${one.weight}` : ''}${own.join('')}`;
}

function backendText({ service, subset, invalid }: Pick<WeightedBackend, 'service' | 'subset' | 'invalid'>): string {
  const name = service.slice(service.indexOf('/') + 1).split('.')[0];
  return `${name}${subset === '' ? '' : `/${subset}`}${invalid === null ? '' : ` (${invalid.status})`}`;
}

function editsText(what: string, { remove, set, add }: HeaderEdits): string {
  const pairs = (sign: string, list: HeaderEdits['set']): string[] =>
    list.map(([name, value]) => `${name}${sign}${value}`);
  const all = [...remove.map((name) => `-${name}`), ...pairs('=', set), ...pairs('+=', add)];
  return all.length === 0 ? '' : `${what} ${all.join(' ')}`;
}
