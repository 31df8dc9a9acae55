// A refusal on the wire: google.rpc.Status with one detail per resource, so that the controller can name each with its
// reason.
// A foreign proxy sends words only; they stand for the whole response then.
import { create, type JsonObject } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, StructSchema } from '@bufbuild/protobuf/wkt';
import { type Status, StatusSchema } from './generated/status_pb.ts';

export interface RefusedResource {
  readonly resource: string;
  readonly reason: string;
}

/** gRPC code INVALID_ARGUMENT, which ztunnel uses too. */
const invalidArgument = 3;
const refusalsMax = 100;
const reasonLengthMax = 500;

/** The status that refuses `refused`, the first 100 of them in detail. */
export function refusalStatus(refused: readonly RefusedResource[]): Status {
  const named = refused.slice(0, refusalsMax).map(({ resource, reason }) => {
    return { resource, reason: reason.slice(0, reasonLengthMax) };
  });
  const words = named.map(({ resource, reason }) => `${resource}: ${reason}`);
  if (refused.length > named.length) words.push(`and ${refused.length - named.length} more`);
  return create(StatusSchema, {
    code: invalidArgument,
    message: words.join('; '),
    details: named.map((entry) => anyPack(StructSchema, structOf(entry))),
  });
}

/** What `status` refuses: by resource when its details say so, otherwise one entry `*` with its words. */
export function refusalsOf(status: Status): RefusedResource[] {
  const refused: RefusedResource[] = [];
  for (const detail of status.details.slice(0, refusalsMax)) {
    const fields = anyUnpack(detail, StructSchema)?.fields;
    const resource = fields?.resource?.kind;
    const reason = fields?.reason?.kind;
    if (resource?.case !== 'stringValue' || reason?.case !== 'stringValue') continue;
    refused.push({ resource: resource.value, reason: reason.value.slice(0, reasonLengthMax) });
  }
  if (refused.length > 0) return refused;
  return [{ resource: '*', reason: status.message.slice(0, reasonLengthMax) || `refused with code ${status.code}` }];
}

function structOf(fields: JsonObject): ReturnType<typeof create<typeof StructSchema>> {
  const message = create(StructSchema);
  for (const [key, value] of Object.entries(fields)) {
    message.fields[key] = { $typeName: 'google.protobuf.Value', kind: { case: 'stringValue', value: String(value) } };
  }
  return message;
}
