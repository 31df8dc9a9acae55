// The tables of docs/conformance.md, from the cases that run.
import type { ConformanceCase } from './builders.ts';
import { conformanceCases } from './cases.ts';
import { statusCases, unsupportedCases } from './status-cases.ts';

/** What is claimed, by the names of Gateway API's `SupportedFeature`, in order. Every one has a case. */
export const claimedFeatures: readonly string[] = [
  ...new Set(['Mesh', ...conformanceCases.flatMap(({ features }) => features)]),
].sort();

const profileOf = ({ features, counts }: ConformanceCase): string => {
  if (counts === null) return '–';
  const profiles = [
    ...(features.includes('GRPCRoute') ? [] : ['MESH-HTTP']),
    ...(features.includes('HTTPRoute') ? [] : ['MESH-GRPC']),
  ];
  return `${profiles.join(', ')} ${counts}`;
};

/** Everything in docs/conformance.md that the cases decide, as Markdown. */
export function conformanceDocument(): string {
  const cases = conformanceCases.map((one) => {
    const { name, features, asks = [], weigh, what } = one;
    const requests = `${asks.length}${weigh === undefined ? '' : ' + 500'}`;
    return `| ${name} | ${features.join(', ') || '–'} | ${profileOf(one)} | ${requests} | ${what} |`;
  });
  const conditions = statusCases.map(({ name, parents, asks }) => {
    const said = parents.map((one) => one.join(', ')).join('; then ');
    const answers = [...new Set(asks.map(({ status = 200 }) => status))].join(', ');
    return `| ${name} | ${said} | ${answers} |`;
  });
  const unsupported = unsupportedCases.map(({ name, message }) => `| ${name} | \`${message}\` |`);
  return [
    `\`\`\`\n${claimedFeatures.join('\n')}\n\`\`\``,
    `| test | features beside Mesh | counts for | requests | what |\n|---|---|---|---|---|\n${cases.join('\n')}`,
    `| case | conditions per parent | requests get |\n|---|---|---|\n${conditions.join('\n')}`,
    `| not supported | refused with |\n|---|---|\n${unsupported.join('\n')}`,
  ].join('\n\n');
}
