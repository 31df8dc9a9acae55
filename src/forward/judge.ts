// Asks the policy engine what the tracker wants to know.
import type { MeshIndex } from '../model/mesh-index.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { PolicyQuestion } from './connection.ts';
import type { Judgement } from './connection-tracker.ts';

/** The judge of a mesh: the destination's effective policies, evaluated as `ambientctl why` does. */
export function judgeOf(index: MeshIndex): (question: PolicyQuestion) => Judgement {
  return (question) => {
    const { allowed, decidedBy, reason } = evaluate(index.policiesFor(question.destination), question);
    return { allowed, decidedBy: decidedBy === null ? null : `${decidedBy.namespace}/${decidedBy.name}`, reason };
  };
}
