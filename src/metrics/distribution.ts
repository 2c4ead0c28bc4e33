// Two models' next-token distributions at one position: divergence, agreement, surprise; all in float64.

/** Logits of one position, one per row of the vocabulary. */
export type Logits = Float32Array | Float64Array;

export interface PositionComparison {
	/** KL(teacher ‖ student), in nats; at least 0, and infinite where the student rules out what the teacher allows. */
	readonly divergence: number;
	/** Both give the highest logit to the same token; of equal logits the lowest id counts, as in ONNX ArgMax. */
	readonly agrees: boolean;
	/** −ln p of the token that stands there, in nats. */
	readonly teacherNats: number;
	readonly studentNats: number;
}

/** ln Σ exp(logits), shifted by the largest so that nothing overflows. −∞ if all logits are. */
export function logSumExp(logits: Logits): number {
	let largest = Number.NEGATIVE_INFINITY;
	for (const logit of logits) if (logit > largest) largest = logit;
	if (!Number.isFinite(largest)) return largest;
	let sum = 0;
	for (const logit of logits) sum += Math.exp(logit - largest);
	return largest + Math.log(sum);
}

/** −ln softmax(logits)[token], in nats. */
export function surprise(logits: Logits, token: number): number {
	return logSumExp(logits) - (logits[token] ?? Number.NEGATIVE_INFINITY);
}

/** Index of the largest logit, the first of equals. */
export function argmax(logits: Logits): number {
	let best = 0;
	let largest = Number.NEGATIVE_INFINITY;
	// An indexed loop: this and the next run over every logit of every position.
	for (let index = 0; index < logits.length; index++) {
		const logit = logits[index] ?? 0;
		if (logit > largest) {
			largest = logit;
			best = index;
		}
	}
	return best;
}

/** KL(softmax(teacher) ‖ softmax(student)) in nats. */
export function divergence(teacher: Logits, student: Logits): number {
	return divergenceOf(teacher, logSumExp(teacher), student, logSumExp(student));
}

/**
 * With d = ln p − ln q it sums p·(d + e^−d − 1) instead of p·d, which is the same because both distributions sum to 1;
 * every term is at least 0, so that small divergences are not lost to cancellation.
 */
function divergenceOf(teacher: Logits, teacherSum: number, student: Logits, studentSum: number): number {
	let sum = 0;
	for (let token = 0; token < teacher.length; token++) {
		const logP = (teacher[token] ?? 0) - teacherSum;
		const logQ = (student[token] ?? 0) - studentSum;
		const p = Math.exp(logP);
		sum += p === 0 ? Math.exp(logQ) : p * excess(logP - logQ);
	}
	return sum;
}

/** d + e^−d − 1, without cancellation near 0: there by its series d²/2 − d³/6 + d⁴/24 − d⁵/120 (error below 1e-14 of it). */
function excess(d: number): number {
	if (Math.abs(d) >= 1e-3) return d + Math.expm1(-d);
	return d * d * (1 / 2 - d * (1 / 6 - d * (1 / 24 - d / 120)));
}

/** Compares two models at one position, at which `label` stands. */
export function comparePosition(teacher: Logits, student: Logits, label: number): PositionComparison {
	const teacherSum = logSumExp(teacher);
	const studentSum = logSumExp(student);
	return {
		divergence: divergenceOf(teacher, teacherSum, student, studentSum),
		agrees: argmax(teacher) === argmax(student),
		teacherNats: teacherSum - (teacher[label] ?? Number.NEGATIVE_INFINITY),
		studentNats: studentSum - (student[label] ?? Number.NEGATIVE_INFINITY),
	};
}
