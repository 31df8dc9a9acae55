// Headers that peers put into a CONNECT: they end up in logs and policy input, and nothing in them may surprise anyone.
import { isIP } from 'node:net';
import { canonicalIp } from '../../../src/base/ip.ts';
import { parseBaggage } from '../../../src/tunnel/baggage.ts';
import { formatForwarded, parseForwarded } from '../../../src/tunnel/forwarded.ts';
import { parseTraceparent } from '../../../src/tunnel/traceparent.ts';
import { broken, type FuzzTarget } from '../target.ts';

function checkForwarded(text: string): string {
  const { address, port, host } = parseForwarded(text);
  if (!/^[0-9a-fA-F.:]*$/.test(address)) broken(`the address ${JSON.stringify(address)}`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) broken(`the port ${port}`);
  if (!/^[\x21-\x7e]*$/.test(host)) broken(`the host ${JSON.stringify(host)}`);
  if (canonicalIp(address) !== null && port > 0) {
    const again = parseForwarded(formatForwarded(address, port));
    if (again.address !== address || again.port !== port) broken(`${address} ${port} is not read again`);
  }
  return `${isIP(address)} ${port > 0} ${host !== ''}`;
}

function checkBaggage(text: string): string {
  const baggage = parseBaggage(text);
  for (const value of Object.values(baggage)) if (value.length > text.length) broken('a value longer than its header');
  if ((baggage.workloadType === '') !== (baggage.workloadName === '') && baggage.workloadType === '') {
    broken('a workload without a type');
  }
  return Object.values(baggage)
    .map((value) => (value === '' ? '-' : 'x'))
    .join('');
}

function checkTraceparent(text: string): string {
  const parsed = parseTraceparent(text);
  if (parsed === null) return '-';
  if (!text.includes(parsed.traceId) || /^0+$/.test(parsed.traceId) || /^0+$/.test(parsed.parentId))
    broken('an id of zeros');
  return `trace ${parsed.sampled}`;
}

export const headersTarget: FuzzTarget = {
  name: 'headers',
  seeds: [
    'for="10.0.0.9:1234";host=web.shop.svc',
    'for="[fd00::9]:80", for=1.2.3.4',
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web,service.name=web,service.version=v1',
    'cloud.region=r;p=1 , cloud.availability_zone=%41%zz',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  ],
  words: [
    'for=',
    'host=',
    '"',
    ';',
    ',',
    '=',
    '%',
    '%2C',
    '%ff',
    '[',
    ']',
    ':',
    ':65536',
    'k8s.pod.name=',
    'service.name=',
    '00-',
    '-01',
    '\n',
  ],
  bytesMax: 2048,
  run: (input) => {
    const text = input.toString('latin1');
    return `${checkForwarded(text)} ${checkBaggage(text)} ${checkTraceparent(text)}`;
  },
};
