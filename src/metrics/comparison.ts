// Teacher against student over many positions: perplexity, divergence and agreement, in all and per frequency bin.
import { DistembError } from "../errors.js";
import { BINS, type BinName, type FrequencyBins } from "./bins.js";
import { comparePosition, type Logits } from "./distribution.js";
import { NO_SURPRISE, perplexity, plus, type Surprise } from "./perplexity.js";

export interface Comparison {
	/** Predicted tokens; each weighs the same. */
	readonly positions: number;
	/** Perplexity per predicted token. */
	readonly teacherPerplexity: number;
	readonly studentPerplexity: number;
	/** Mean −ln p of the token that stands there, in nats. */
	readonly teacherNats: number;
	readonly studentNats: number;
	/** Mean KL(teacher ‖ student) over the whole vocabulary, in nats. */
	readonly divergence: number;
	/** Share of positions at which both prefer the same token, 0 to 1. */
	readonly agreement: number;
}

export interface BinnedComparison {
	readonly all: Comparison;
	/** By the bin of the token that stands there (the label), not of what a model prefers. Bins without positions are absent. */
	readonly bins: Readonly<Partial<Record<BinName, Comparison>>>;
}

interface Sums {
	teacher: Surprise;
	student: Surprise;
	divergence: number;
	agreed: number;
}

/**
 * Adds up one position after the other; its memory does not grow with the text.
 * @example
 * const comparer = new Comparer(frequencyBins(counts));
 * comparer.add(teacherLogits, studentLogits, nextToken);
 * comparer.result().all.studentPerplexity;
 */
export class Comparer {
	private readonly bins: FrequencyBins;
	private readonly sums: Sums[] = BINS.map(() => ({ teacher: NO_SURPRISE, student: NO_SURPRISE, divergence: 0, agreed: 0 }));

	constructor(bins: FrequencyBins) {
		this.bins = bins;
	}

	/**
	 * One position: both models' logits there, and the token that follows.
	 * @throws DistembError `input` if the vocabularies differ, the token lies outside of them, or a logit is NaN
	 */
	add(teacher: Logits, student: Logits, label: number): void {
		if (teacher.length !== student.length)
			throw new DistembError("input", `the teacher has ${teacher.length} logits, the student ${student.length}`, {
				hint: "compare models of the same vocabulary",
			});
		const sums = label >= 0 && label < teacher.length ? this.sums[this.bins.ofToken[label] ?? 0] : undefined;
		if (sums === undefined) throw new DistembError("input", `token id ${label} is beyond the ${teacher.length} logits`);
		const { divergence, agrees, teacherNats, studentNats } = comparePosition(teacher, student, label);
		if (Number.isNaN(divergence)) throw new DistembError("input", "a logit is not a number");
		sums.teacher = plus(sums.teacher, { nats: teacherNats, tokens: 1 });
		sums.student = plus(sums.student, { nats: studentNats, tokens: 1 });
		sums.divergence += divergence;
		if (agrees) sums.agreed++;
	}

	/** @throws DistembError `input` before the first position */
	result(): BinnedComparison {
		const all = this.sums.reduce((left, right) => ({
			teacher: plus(left.teacher, right.teacher),
			student: plus(left.student, right.student),
			divergence: left.divergence + right.divergence,
			agreed: left.agreed + right.agreed,
		}));
		if (all.teacher.tokens === 0) throw new DistembError("input", "there is no token to predict", { hint: "give more data" });
		const filled = BINS.flatMap((name, index) => {
			const sums = this.sums[index];
			return sums === undefined || sums.teacher.tokens === 0 ? [] : [[name, means(sums)]];
		});
		return { all: means(all), bins: Object.fromEntries(filled) };
	}
}

function means({ teacher, student, divergence, agreed }: Sums): Comparison {
	const positions = teacher.tokens;
	return {
		positions,
		teacherPerplexity: perplexity(teacher),
		studentPerplexity: perplexity(student),
		teacherNats: teacher.nats / positions,
		studentNats: student.nats / positions,
		divergence: divergence / positions,
		agreement: agreed / positions,
	};
}
