// How precisely a column is stored: how many of its kind share a byte, and what each byte stands for.
import { codebookOf } from "./codebook.js";
import { quantizerOf, type Spacing } from "./levels.js";

export interface Precision {
	/** Columns of this precision that share a byte: 8 bits divided among them. */
	readonly perByte: number;
	/** Number `digit` of what `byte` stands for, for numbers of variance 1, at byte · perByte + digit. */
	readonly values: Float64Array;
	/** Expected squared error of a number of variance 1. */
	readonly distortion: number;
}

/**
 * Columns to a byte: 8 bits a number, 4, 2⅔, 2, 1.6, 1⅓ and 1. Alone in its byte a number is rounded by itself, several together as a
 * vector; equally spaced all are rounded by themselves.
 */
export const PRECISIONS = { fitted: [1, 2, 3, 4, 5, 6, 8], equal: [1, 2, 4] } as const;

/** Most columns to a byte. */
export const MOST_PER_BYTE = 8;

/** Values of a byte. */
export const BYTE_VALUES = 256;

const known: Readonly<Record<Spacing, Map<number, Precision>>> = { fitted: new Map(), equal: new Map() };

/** `perByte` columns to a byte; computed once. */
export function precisionOf(perByte: number, spacing: Spacing): Precision {
	const held = known[spacing].get(perByte) ?? (isScalar(perByte, spacing) ? digits(perByte, spacing) : vectors(perByte));
	known[spacing].set(perByte, held);
	return held;
}

/** Each number is rounded by itself: byte = Σ code · count^digit. */
export function isScalar(perByte: number, spacing: Spacing): boolean {
	return spacing === "equal" || perByte === 1;
}

/** Values that each number has, where it is rounded by itself. */
export function valueCount(perByte: number): number {
	return 2 ** (8 / perByte);
}

function digits(perByte: number, spacing: Spacing): Precision {
	const count = valueCount(perByte);
	const { values, distortion } = quantizerOf(count, spacing);
	const all = Float64Array.from({ length: BYTE_VALUES * perByte }, (_, at) => {
		const [byte, digit] = [Math.floor(at / perByte), at % perByte];
		return values[Math.floor(byte / count ** digit) % count] as number;
	});
	return { perByte, values: all, distortion };
}

function vectors(perByte: number): Precision {
	const { values, distortion } = codebookOf(perByte);
	return { perByte, values, distortion };
}
