// Asks the policy engine what the tracker wants to know.
import { type EffectivePolicies, type MeshIndex, serviceKey } from '../model/mesh-index.ts';
import { evaluate, hitsOf } from '../policy/evaluate.ts';
import { policiesOfService } from '../policy/service-policies.ts';
import type { PolicyQuestion } from './connection.ts';
import type { Judgement } from './connection-tracker.ts';

/** Answers kept per destination: a policy of 100 rules takes 12 µs to ask, an answer that is known 0.3 µs. */
const answersMax = 256;

/**
 * The judge of a mesh: the destination's effective policies, evaluated as `ambientctl why` does. An answer is kept as
 * long as those policies, of which the index makes a new object when anything about them changes.
 */
export function judgeOf(index: MeshIndex): (question: PolicyQuestion) => Judgement {
  const known = new WeakMap<EffectivePolicies, Map<string, Judgement>>();
  return (question) => {
    const effective = policiesOf(index, question.destination);
    let answers = known.get(effective);
    if (answers === undefined) {
      answers = new Map();
      known.set(effective, answers);
    }
    // Everything that `evaluate` looks at.
    const { sourceIdentity, sourceIp, destinationIp, destinationPort } = question;
    const key = `${sourceIdentity}|${sourceIp}|${destinationIp}|${destinationPort}`;
    let judgement = answers.get(key);
    if (judgement === undefined) {
      if (answers.size >= answersMax) answers.clear();
      judgement = judge(effective, question);
      answers.set(key, judgement);
    }
    return judgement;
  };
}

function policiesOf(index: MeshIndex, destination: PolicyQuestion['destination']): EffectivePolicies {
  if ('uid' in destination) return index.policiesFor(destination);
  return policiesOfService(index.routesOf(serviceKey(destination)));
}

function judge(effective: EffectivePolicies, question: PolicyQuestion): Judgement {
  const decision = evaluate(effective, question);
  const { allowed, decidedBy, reason } = decision;
  const by = decidedBy === null ? null : `${decidedBy.namespace}/${decidedBy.name}`;
  return { allowed, decidedBy: by, reason, policyHits: hitsOf(decision) };
}
