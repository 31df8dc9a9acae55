// What is written of the values: values.yaml and values.schema.json of the chart, and the table of docs/install.md.
import { stringify } from 'yaml';
import type { JsonSchema } from '../../src/config/schema.ts';

type Properties = Readonly<Record<string, JsonSchema>>;

/** values.yaml, with the description of every value above it. */
export function valuesYaml(schema: JsonSchema, defaults: unknown): string {
  const lines = [
    '# Every value and its default; docs/install.md says more. Made by `npm run generate` from src/install.',
  ];
  const write = (at: JsonSchema, value: unknown, indent: string): void => {
    for (const [name, field] of Object.entries(propertiesOf(at)!)) {
      const inner = (value as Record<string, unknown>)[name];
      if (indent === '') lines.push('');
      if (typeof field['description'] === 'string') lines.push(`${indent}# ${sentence(field['description'])}`);
      if (isLeaf(field)) lines.push(indent + stringify({ [name]: inner }, { lineWidth: 0 }).trimEnd());
      else {
        lines.push(`${indent}${name}:`);
        write(mappingOf(field), inner, `${indent}  `);
      }
    }
  };
  write(schema, defaults, '');
  return `${lines.join('\n')}\n`;
}

/** values.schema.json. Helm itself adds `global` where the chart is a part of another. */
export function valuesSchema(schema: JsonSchema): string {
  const properties = { ...propertiesOf(schema), global: { type: 'object' } };
  const whole = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of Ambient',
    ...schema,
    properties,
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** Rows of a table in Markdown: path, default, description. */
export function valuesTable(schema: JsonSchema, defaults: unknown): string {
  const rows = ['| value | default | |', '|---|---|---|'];
  const write = (at: JsonSchema, value: unknown, prefix: string): void => {
    for (const [name, field] of Object.entries(propertiesOf(at)!)) {
      const inner = (value as Record<string, unknown>)[name];
      if (!isLeaf(field)) write(mappingOf(field), inner, `${prefix}${name}.`);
      else rows.push(`| \`${prefix}${name}\` | ${defaultText(inner)} | ${String(field['description'] ?? '')} |`);
    }
  };
  write(schema, defaults, '');
  return `${rows.join('\n')}\n`;
}

function defaultText(value: unknown): string {
  if (value === '') return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** Mappings whose fields are not ours to list, such as the configuration of a program, are leaves. */
function isLeaf(field: JsonSchema): boolean {
  const within = propertiesOf(mappingOf(field));
  return within === undefined || typeof field['description'] === 'string';
}

function mappingOf(field: JsonSchema): JsonSchema {
  const [first] = (field['anyOf'] ?? []) as readonly JsonSchema[];
  return first !== undefined && propertiesOf(first) !== undefined ? first : field;
}

const propertiesOf = (schema: JsonSchema): Properties | undefined => schema['properties'] as Properties | undefined;
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
