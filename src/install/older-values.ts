// Values as earlier releases had them: they are still read, as what they are called today, and whoever wrote them is
// told. The chart does the same by its template `ambient.values`.
import { boolean, type Field, type JsonSchema } from '../config/schema.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Until 0.1 they were true or false by themselves; by now each is a mapping, with `enabled`. */
export const onceBooleans: readonly string[] = ['networkPolicies', 'podMonitors'];

/** A field of `onceBooleans`, which admits both. */
export function onceBoolean<T>(field: Field<T>): Field<T> {
  const schema: JsonSchema = { anyOf: [field.schema, boolean().schema] };
  return { ...field, read: (value, at) => field.read(asMapping(value), at), schema };
}

/** The values under their names of today; `note` is told of each that had another one. */
export function presentValues(values: Fields, note: (text: string) => void): Fields {
  const present: Record<string, unknown> = { ...values };
  for (const name of onceBooleans) {
    const value = values[name];
    if (typeof value !== 'boolean') continue;
    present[name] = asMapping(value);
    note(`${name}: ${value} is read as ${name}.enabled, which is what it is called since 0.2`);
  }
  return present;
}

function asMapping(value: unknown): unknown {
  return typeof value === 'boolean' ? { enabled: value } : value;
}
