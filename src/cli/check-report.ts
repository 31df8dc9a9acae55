// The report of `ambientctl check`: categories of checks, each a statement that should be true, in the form that users
// of linkerd know. `-o short` prints what is wrong alone.
import { type CheckCategory, type CheckOutcome, hasFailed } from '../analyze/checks.ts';
import type { CommandResult } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Paint, Tone } from './io.ts';

const marks = { success: '√', warning: '‼', error: '×' } as const;
const tones = { success: 'good', warning: 'warn', error: 'bad' } as const satisfies Record<CheckOutcome, Tone>;

/** The result for categories that are at hand. */
export function checkResult(categories: readonly CheckCategory[]): CommandResult {
  const success = !hasFailed(categories);
  return {
    data: { success, categories },
    text: ({ paint }) => categories.map((one) => categoryText(one, paint)).join('') + verdictText(success, paint),
    also: { short: () => shortText(categories) },
    exitCode: success ? exitCodes.fine : exitCodes.failureFound,
  };
}

function categoryText({ categoryName, checks }: CheckCategory, paint: Paint): string {
  const lines = checks.map(({ description, result, error, hint }) => {
    const why = error === undefined ? '' : `    ${error}\n${hint === undefined ? '' : `    see ${hint} for hints\n`}`;
    return `${paint(marks[result], tones[result])} ${description}\n${why}`;
  });
  return `${categoryName}\n${'-'.repeat(categoryName.length)}\n${lines.join('')}\n`;
}

function verdictText(success: boolean, paint: Paint): string {
  return `Status check results are ${success ? paint(marks.success, 'good') : paint(marks.error, 'bad')}\n`;
}

function shortText(categories: readonly CheckCategory[]): string {
  const wrong = categories.flatMap(({ categoryName, checks }) =>
    checks
      .filter(({ result }) => result !== 'success')
      .map(({ description, result, error }) => `${marks[result]} ${categoryName}: ${description}: ${error ?? ''}\n`),
  );
  return wrong.length === 0 ? `${marks.success} all is well\n` : wrong.join('');
}
