// Gateway: from an object to what the model keeps of it.
import type {
  GatewayInfrastructure,
  GatewayListener,
  GatewayResource,
  Labels,
  ResourceMeta,
} from '../model/resources.ts';
import type { ObjectReader } from './object-reader.ts';

const anyPort = { min: 1, max: 65535 };
const froms = ['Same', 'All', 'Selector', 'None'] as const;

/** A Gateway. Throws CONFIG_INVALID with the place of what is wrong. */
export function readGateway(object: ObjectReader, meta: ResourceMeta): GatewayResource {
  const spec = object.object('spec');
  return {
    ...meta,
    kind: 'Gateway',
    gatewayClassName: spec.string('gatewayClassName'),
    listeners: spec.objects('listeners').map(readListener),
    infrastructure: readInfrastructure(spec.object('infrastructure')),
    addresses: object
      .object('status')
      .objects('addresses')
      .map((address) => address.string('value', ''))
      .filter((value) => value !== ''),
  };
}

function readInfrastructure(infrastructure: ObjectReader): GatewayInfrastructure {
  const parameters = infrastructure.object('parametersRef');
  const isNamed = infrastructure.has('parametersRef');
  return {
    labels: infrastructure.labels('labels'),
    annotations: infrastructure.labels('annotations'),
    parametersRef: isNamed
      ? { group: parameters.string('group', ''), kind: parameters.string('kind'), name: parameters.string('name') }
      : null,
  };
}

function readListener(listener: ObjectReader): GatewayListener {
  const namespaces = listener.object('allowedRoutes').object('namespaces');
  const selector: Labels = namespaces.object('selector').labels('matchLabels');
  return {
    name: listener.string('name'),
    port: listener.integer('port', anyPort),
    protocol: listener.string('protocol'),
    from: namespaces.oneOf('from', froms, 'Same'),
    selector,
  };
}
