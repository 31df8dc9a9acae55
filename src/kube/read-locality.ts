// `localityLbSetting` of a DestinationRule.
import type { TrafficSettings } from '../model/route-resources.ts';
import type { LocalityRules } from '../model/route-types.ts';
import type { ObjectReader } from './object-reader.ts';

type Locality = NonNullable<NonNullable<TrafficSettings['loadBalancer']>['locality']>;

const ways = ['distribute', 'failover', 'failoverPriority'] as const;

/** Throws CONFIG_INVALID with the place of what Istio's validation refuses. */
export function readLocality(setting: ObjectReader): Locality {
  setting.only(['enabled', ...ways]);
  const written = ways.filter((way) => setting.list(way).length > 0);
  if (written.length > 1 && written[0] === 'distribute') setting.fail(written[1]!, 'must not stand beside distribute');
  return {
    enabled: setting.boolean('enabled', true),
    distribute: setting.objects('distribute').map(readDistribution),
    failover: setting.objects('failover').map((one) => {
      one.only(['from', 'to']);
      const [from, to] = [region(one, 'from'), region(one, 'to')];
      if (from === to) one.fail('to', 'must be another region than from');
      return { from, to };
    }),
  };
}

function region(one: ObjectReader, key: string): string {
  const name = one.string(key);
  if (name === '' || /[/*]/.test(name)) one.fail(key, `must be a region, without zone or *, not "${name}"`);
  return name;
}

function readDistribution(one: ObjectReader): LocalityRules['distribute'][number] {
  one.only(['from', 'to']);
  const shares = one.object('to');
  const to = Object.keys(shares.fields).map((locality) => {
    checkLocality(shares, locality, locality);
    return [locality, shares.integer(locality, { min: 1, max: 100 })] as const;
  });
  const total = to.reduce((sum, [, weight]) => sum + weight, 0);
  if (total !== 100) one.fail('to', `must add up to 100, not ${total}`);
  return { from: checkLocality(one, 'from', one.string('from')), to };
}

function checkLocality(object: ObjectReader, key: string, locality: string): string {
  if (/^(\*|[^/*]+(\/(\*|[^/*]+(\/(\*|[^/*]+))?))?)$/.test(locality)) return locality;
  return object.fail(key, `must be REGION/ZONE/SUBZONE, or end in *, not "${locality}"`);
}
