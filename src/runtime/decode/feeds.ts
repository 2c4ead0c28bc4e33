// Tensors for one run of a language model's graph.
import { DistembError } from "../../errors.js";
import { tensorOf } from "../numbers.js";
import type { EngineTensor, Feeds } from "../session.js";
import type { AxisSize, SizeRole } from "../signature.js";
import type { GraphRoles, Port } from "./roles.js";

/** Ids of [batch, length], row-major, padded at the end of rows. */
export interface Rows {
	readonly batch: number;
	readonly length: number;
	readonly ids: Int32Array;
	/** 1 where a token stands; without it everywhere. */
	readonly mask?: Uint8Array | undefined;
}

/** What a decoder reads besides its own tokens. */
export interface Source {
	readonly rows: Rows;
	/** The encoder's output; undefined where encoder and decoder are one graph. */
	readonly states: EngineTensor | undefined;
}

export interface Step {
	readonly tokens: Rows;
	/** Tokens before these. */
	readonly position: number;
	/** What the steps before left; without it an empty past. */
	readonly past?: Feeds | undefined;
	readonly source?: Source | undefined;
}

/**
 * @throws DistembError `internal` if the graph reads a source and there is none; `refused` for a past of a fixed length,
 * which cannot be empty
 */
export function stepFeeds({ ports, timeMajor }: GraphRoles, step: Step): Feeds {
	return Object.fromEntries(ports.map((port) => [port.name, tensorFor(port, step, timeMajor)]));
}

function tensorFor(port: Port, step: Step, timeMajor: boolean): EngineTensor {
	const { dtype, name, role, axes } = port;
	const { tokens, position } = step;
	const dims = axes.map((size) => sizeOf(size, step));
	switch (role) {
		case "tokens":
			return timeMajor ? idsByTime(port, tokens) : idsTensor(port, tokens);
		case "source":
			return idsTensor(port, sourceOf(step, name).rows);
		case "mask": {
			const { mask, length } = tokens;
			const total = dims.at(-1) ?? length;
			const before = total - length;
			const shown = (index: number) => {
				const column = (index % total) - before;
				return column < 0 || mask === undefined ? 1 : (mask[Math.floor(index / total) * length + column] ?? 0);
			};
			return tensorOf(dtype, axes.length === 1 ? [total] : [tokens.batch, total], shown);
		}
		case "sourceMask": {
			const { batch, length, mask } = sourceOf(step, name).rows;
			return tensorOf(dtype, [batch, length], (index) => mask?.[index] ?? 1);
		}
		case "positions": {
			const last = dims.at(-1) ?? 1;
			return tensorOf(dtype, dims, (index) => position + (index % last));
		}
		case "states": {
			const { states } = sourceOf(step, name);
			if (states === undefined) throw new DistembError("internal", `input "${name}" needs an encoder`);
			return states;
		}
		case "past":
			return step.past?.[name] ?? emptyPast(port, dims);
		case "branch":
			return tensorOf(dtype, dims, () => Number(step.past !== undefined));
		case "zero":
			return tensorOf(dtype, dims, () => 0);
	}
}

/** Keys and values of no tokens; a state that never grows begins with zeros. */
function emptyPast({ dtype, name, axes }: Port, dims: readonly number[]): EngineTensor {
	if (axes.length === 4 && typeof axes[2] === "number" && axes[2] > 0)
		throw new DistembError("refused", `input "${name}" is a past of ${axes[2]} tokens, which cannot be empty`, {
			hint: "export the model with a past of any length",
		});
	return tensorOf(dtype, dims, () => 0);
}

function idsTensor({ dtype, axes }: Port, { batch, length, ids }: Rows): EngineTensor {
	return tensorOf(dtype, axes.length === 1 ? [batch * length] : [batch, length], (index) => ids[index] ?? 0);
}

function idsByTime({ dtype }: Port, { batch, length, ids }: Rows): EngineTensor {
	return tensorOf(dtype, [length, batch], (index) => ids[(index % batch) * length + Math.floor(index / batch)] ?? 0);
}

function sourceOf({ source }: Step, name: string): Source {
	if (source === undefined) throw new DistembError("internal", `input "${name}" needs a source`);
	return source;
}

function sizeOf(size: AxisSize, step: Step): number {
	if (typeof size === "number") return size;
	if (typeof size === "string") return sizeOfRole(size, step);
	return size.reduce<number>((sum, term) => sum + sizeOf(term, step), 0);
}

function sizeOfRole(role: SizeRole, { tokens, position, past, source }: Step): number {
	// A graph that is run on its whole prefix has no past, whatever its position.
	const before = past === undefined ? 0 : position;
	const sizes: Readonly<Record<SizeRole, number>> = {
		batch: tokens.batch,
		sequence: tokens.length,
		past: before,
		total: before + tokens.length,
		encoder: source?.rows.length ?? tokens.length,
		other: 1,
	};
	return sizes[role];
}

/** Rows `picked` (any number of times, in any order) of a tensor along `axis`. */
export function pickRows(tensor: EngineTensor, axis: number, picked: readonly number[]): EngineTensor {
	const { dims, data, dtype } = tensor;
	const rows = dims[axis] ?? 1;
	const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
	const outer = dims.slice(0, axis).reduce((product, size) => product * size, 1);
	if (!isTyped(data)) throw new DistembError("internal", "rows of a string tensor were asked for");
	const target = new (data.constructor as new (length: number) => Float32Array)(outer * picked.length * inner);
	for (let block = 0; block < outer; block++)
		for (const [at, row] of picked.entries()) {
			const start = (block * rows + row) * inner;
			// Both sides are arrays of one kind, whichever it is.
			target.set(data.subarray(start, start + inner) as Float32Array, (block * picked.length + at) * inner);
		}
	return { dtype, dims: dims.map((size, index) => (index === axis ? picked.length : size)), data: target };
}

type Typed = Exclude<EngineTensor["data"], readonly string[]>;

function isTyped(data: EngineTensor["data"]): data is Typed {
	return ArrayBuffer.isView(data);
}

/** Rows `picked` of ids and mask. */
export function pickTokens({ length, ids, mask }: Rows, picked: readonly number[]): Rows {
	const chosen = new Int32Array(picked.length * length);
	const shown = new Uint8Array(picked.length * length).fill(1);
	for (const [at, row] of picked.entries()) {
		chosen.set(ids.subarray(row * length, (row + 1) * length), at * length);
		if (mask !== undefined) shown.set(mask.subarray(row * length, (row + 1) * length), at * length);
	}
	return { batch: picked.length, length, ids: chosen, mask: mask === undefined ? undefined : shown };
}

/** Sequences as rows of one length, the shorter ones padded with `pad` and masked. */
export function padded(sequences: readonly ArrayLike<number>[], pad: number): Rows {
	const length = Math.max(1, ...sequences.map((ids) => ids.length));
	const ids = new Int32Array(sequences.length * length).fill(pad);
	const mask = new Uint8Array(sequences.length * length);
	for (const [row, sequence] of sequences.entries()) {
		ids.set(sequence, row * length);
		mask.fill(1, row * length, row * length + sequence.length);
	}
	return { batch: sequences.length, length, ids, mask };
}
