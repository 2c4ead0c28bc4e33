// Damage that knows nothing of the format: bytes changed, removed, repeated, moved; files cut off.
import { join } from "../support/wire.js";
import type { Dice } from "./dice.js";

const INTERESTING = [0, 1, 2, 7, 8, 10, 15, 16, 32, 64, 126, 127, 128, 129, 192, 224, 254, 255];

type Change = (bytes: Uint8Array, dice: Dice) => Uint8Array;

const at = (bytes: Uint8Array, position: number) => bytes[position] ?? 0;

const CHANGES: readonly Change[] = [
	(bytes, dice) => replaced(bytes, place(bytes, dice), dice.below(256)),
	(bytes, dice) => replaced(bytes, place(bytes, dice), dice.pick(INTERESTING)),
	(bytes, dice) => {
		const position = place(bytes, dice);
		return replaced(bytes, position, at(bytes, position) ^ (1 << dice.below(8)));
	},
	(bytes, dice) => {
		const position = place(bytes, dice);
		return replaced(bytes, position, (at(bytes, position) + dice.pick([1, -1, 16, -16])) & 255);
	},
	(bytes, dice) => {
		const start = place(bytes, dice);
		return join(bytes.subarray(0, start), bytes.subarray(start + dice.size(1, 64)));
	},
	(bytes, dice) => {
		const start = place(bytes, dice);
		const inserted = Uint8Array.from({ length: dice.size(1, 32) }, () => dice.pick(INTERESTING));
		return join(bytes.subarray(0, start), inserted, bytes.subarray(start));
	},
	(bytes, dice) => {
		const start = place(bytes, dice);
		const part = bytes.subarray(start, start + dice.size(1, 4096));
		const to = place(bytes, dice);
		return join(bytes.subarray(0, to), part, bytes.subarray(to));
	},
	(bytes, dice) => {
		const start = place(bytes, dice);
		const copy = Uint8Array.from(bytes);
		const value = dice.pick(INTERESTING);
		copy.fill(value, start, start + dice.size(1, 256));
		return copy;
	},
];

/** `bytes` with one to four such changes. */
export function damaged(bytes: Uint8Array, dice: Dice): Uint8Array {
	let result = bytes;
	for (let count = dice.size(1, 4); count > 0; count--) result = dice.pick(CHANGES)(result, dice);
	return result;
}

/** The beginning of `bytes`, cut near a boundary of the structure or anywhere. */
export function truncated(bytes: Uint8Array, dice: Dice): Uint8Array {
	return bytes.subarray(0, place(bytes, dice));
}

/** Most of a model is payload: a position near the start or the end hits the structure. */
function place(bytes: Uint8Array, dice: Dice): number {
	const span = Math.min(bytes.byteLength, dice.pick([200, 2000, 8000, 2 ** 30]));
	const offset = dice.below(Math.max(1, span));
	return dice.chance(0.4) ? Math.max(0, bytes.byteLength - 1 - offset) : offset;
}

function replaced(bytes: Uint8Array, position: number, value: number): Uint8Array {
	const copy = Uint8Array.from(bytes);
	copy[position] = value;
	return copy;
}
