import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { defaultHttpLimits } from '../http/exchange/limits.ts';
import { parseWaypointConfig } from './waypoint.ts';

const least = 'namespace: shop\nname: waypoint\ncontrollerUrl: https://10.80.0.1:15012\n';

test('what is left out has its default; pod and node come from the environment', () => {
  const config = parseWaypointConfig(least, 'waypoint.yaml', { POD_NAME: 'waypoint-1', NODE_NAME: 'n1' });
  assert.equal(config.serviceAccount, 'waypoint');
  assert.deepEqual([config.podName, config.nodeName, config.threads], ['waypoint-1', 'n1', 1]);
  assert.deepEqual(config.ports, { hbone: 15008, admin: 15000, metrics: 15020, readiness: 15021 });
  assert.ok(Object.isFrozen(config));
  assert.deepEqual(config.http, defaultHttpLimits);
  const named = parseWaypointConfig(`${least}podName: other\n`, 'waypoint.yaml', { POD_NAME: 'waypoint-1' });
  assert.equal(named.podName, 'other');
});

for (const [what, text, place] of [
  ['no name', 'namespace: shop\n', 'waypoint.yaml:1:1'],
  ['a name that is none', `${least}podName: "a b"\n`, 'waypoint.yaml:4:10'],
  ['a field of node proxies', `${least}capture: {}\n`, 'waypoint.yaml:4:1'],
  ['no thread', `${least}threads: 0\n`, 'waypoint.yaml:4:10'],
  ['neither controller nor state', 'namespace: shop\nname: w\n', 'waypoint.yaml:1:1'],
] as const) {
  test(`refused with its place: ${what}`, () => {
    assert.throws(
      () => parseWaypointConfig(text, 'waypoint.yaml', {}),
      (error: unknown) => isMeshError(error) && error.code === 'CONFIG_INVALID' && error.message.includes(place),
    );
  });
}
