// Where tokens stand in a request, and how a request looks without one.
import type { JwtRule } from '../../model/route-types.ts';
import { cookieValue, queryValue } from '../balance/request-hash.ts';
import type { RequestHead } from '../message.ts';

export interface FoundToken {
  readonly rule: JwtRule;
  readonly token: string;
  readonly place:
    | { readonly kind: 'header'; readonly name: string }
    | { readonly kind: 'param'; readonly name: string }
    | { readonly kind: 'cookie'; readonly name: string };
}

const bearer = 'Bearer ';
const authorization = { kind: 'header', name: 'authorization' } as const;
const accessToken = { kind: 'param', name: 'access_token' } as const;
/** A longer text is no token that we look at. */
const tokenLengthMax = 16 * 1024;
const nothing: readonly FoundToken[] = Object.freeze([]);

/** The tokens of a request with the rules that look for them there, in the order of the rules; [] for none. */
export function findTokens(rules: readonly JwtRule[], head: RequestHead, target: string): readonly FoundToken[] {
  let found: FoundToken[] | null = null;
  const add = (rule: JwtRule, token: string | null, place: FoundToken['place']): void => {
    if (token === null || token === '' || token.length > tokenLengthMax) return;
    found ??= [];
    found.push({ rule, token, place });
  };
  for (const rule of rules) {
    const { fromHeaders, fromParams, fromCookies } = rule;
    if (fromHeaders.length === 0 && fromParams.length === 0 && fromCookies.length === 0) {
      add(rule, afterPrefix(head.headers.get('authorization'), bearer), authorization);
      add(rule, queryValue(target, accessToken.name), accessToken);
      continue;
    }
    for (const { name, prefix } of fromHeaders) {
      add(rule, afterPrefix(head.headers.get(name), prefix), { kind: 'header', name });
    }
    for (const name of fromParams) add(rule, queryValue(target, name), { kind: 'param', name });
    if (fromCookies.length === 0) continue;
    const cookies = head.headers.get('cookie');
    for (const name of fromCookies) add(rule, cookieValue(cookies, name), { kind: 'cookie', name });
  }
  return found ?? nothing;
}

/** What follows the prefix, up to the first blank or comma; the scheme `Bearer` in any case. */
function afterPrefix(value: string | null, prefix: string): string | null {
  if (value === null) return null;
  const isScheme = prefix.toLowerCase() === 'bearer ';
  const start = value.slice(0, prefix.length);
  if (isScheme ? start.toLowerCase() !== 'bearer ' : start !== prefix) return null;
  const rest = value.slice(prefix.length).trim();
  return /^[^\s,]*/.exec(rest)![0];
}

/** The target without the parameters of that name. */
export function withoutParam(target: string, name: string): string {
  const question = target.indexOf('?');
  if (question < 0) return target;
  const parts = target.slice(question + 1).split('&');
  const kept = parts.filter((part) => part !== name && !part.startsWith(`${name}=`));
  return kept.length === 0 ? target.slice(0, question) : `${target.slice(0, question)}?${kept.join('&')}`;
}

/** The header `cookie` without the cookies of that name; '' when none is left. */
export function withoutCookie(cookies: string, name: string): string {
  const parts = cookies.split(';').map((part) => part.trim());
  return parts.filter((part) => part !== '' && !part.startsWith(`${name}=`)).join('; ');
}
