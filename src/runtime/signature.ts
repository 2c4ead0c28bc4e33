// What a graph asks for: each input's kind and the role of each of its axes, by structure first and names second.
import { DistembError } from "../errors.js";
import type { DType } from "../ir/dtype.js";
import type { Dim, Model, Value } from "../ir/graph.js";
import type { EngineType } from "./session.js";
import { smallestTable } from "./trace.js";

/**
 * - `ids`: whole numbers in [0, bound): token ids and every other index into a table
 * - `positions`: counted from the length of the past
 * - `mask`: ones, or ones and zeros
 * - `flag`: one boolean, tried both ways
 * - `past`: what an earlier step left (keys and values of attention)
 * - `lengths`, `offsets`, `setting`: one whole number per sequence, where each one starts, one number for all
 * - `noise`: normal noise: hidden states, images, sound
 */
export type InputKind = "ids" | "positions" | "mask" | "flag" | "past" | "lengths" | "offsets" | "setting" | "noise";

/** What a size means. `total` is past and sequence together; `other` is anything else, the same everywhere. */
export type SizeRole = "batch" | "sequence" | "past" | "total" | "encoder" | "other";

/** A size of an axis: fixed, the size of a role, or a sum of such terms ("past_length + sequence_length"). */
export type AxisSize = number | SizeRole | readonly (number | SizeRole)[];

export interface InputSpec {
	readonly name: string;
	readonly dtype: EngineType;
	readonly kind: InputKind;
	readonly axes: readonly AxisSize[];
	/** Elements are below it; undefined: no limit is known. */
	readonly bound: number | undefined;
}

/**
 * Describes every input that `model` needs (inputs with a default value are left out).
 * `tokenInputs` gives the vocabulary's size for each input that holds token ids; other limits are traced to tables.
 * @throws DistembError `engine` for an input that cannot be made: no tensor, no rank, a type the engine does not take.
 */
export function readSignature(model: Model, tokenInputs: ReadonlyMap<string, number>): InputSpec[] {
	const drafts = model.graph.inputs.filter((value) => value.source.kind === "input").map((value) => draftOf(value, tokenInputs));
	const symbols = new Map<string, SizeRole>();
	const hasPast = drafts.some(({ kind }) => kind === "past");
	const hasIds = drafts.some(({ kind }) => kind === "ids");
	const order = [...drafts].sort((a, b) => rankOf(a) - rankOf(b));
	for (const draft of order) bindSymbols(draft, symbols, { hasPast, hasIds });
	return drafts.map((draft) => ({
		...draft,
		axes: draft.shape.map((dim, axis) => sizeOf(dim, axis, draft, symbols, { hasPast, hasIds })),
	}));
}

interface Draft {
	readonly name: string;
	readonly dtype: EngineType;
	readonly kind: InputKind;
	readonly shape: readonly Dim[];
	readonly bound: number | undefined;
}

interface Surroundings {
	readonly hasPast: boolean;
	readonly hasIds: boolean;
}

const ENGINE_TYPES: ReadonlySet<DType> = new Set<DType>([
	"float32",
	"float16",
	"float64",
	"int64",
	"int32",
	"int16",
	"int8",
	"uint64",
	"uint32",
	"uint16",
	"uint8",
	"bool",
]);

function isEngineType(dtype: DType): dtype is DType & EngineType {
	return ENGINE_TYPES.has(dtype);
}

function draftOf(value: Value, tokenInputs: ReadonlyMap<string, number>): Draft {
	const { name, type } = value;
	if (type?.dtype === undefined) throw new DistembError("engine", `input "${name}" is no tensor; inputs for it cannot be made`);
	if (!isEngineType(type.dtype)) throw new DistembError("engine", `input "${name}" is of type ${type.dtype}; inputs for it cannot be made`);
	if (type.shape === undefined) throw new DistembError("engine", `input "${name}" declares no shape; inputs for it cannot be made`);
	const limits = [tokenInputs.get(name), smallestTable(value)].filter((limit) => limit !== undefined);
	const bound = limits.length === 0 ? undefined : Math.min(...limits);
	return { name, dtype: type.dtype, shape: type.shape, bound, kind: kindOf(name, type.dtype, type.shape, bound, tokenInputs.has(name)) };
}

function kindOf(name: string, dtype: EngineType, shape: readonly Dim[], bound: number | undefined, isTokens: boolean): InputKind {
	const isSingle = shape.every((dim) => dim === 1);
	if (dtype === "bool") return isSingle || (shape.length < 2 && !/mask/i.test(name)) ? "flag" : "mask";
	if (/mask/i.test(name) && !isTokens) return "mask";
	if (bound !== undefined) return /pos/i.test(name) ? "positions" : "ids";
	if (dtype.startsWith("float")) return isSingle ? "setting" : isPast(name, shape) ? "past" : "noise";
	if (isSingle) return "setting";
	if (/pos/i.test(name)) return "positions";
	if (/offset/i.test(name)) return "offsets";
	// A whole number that indexes nothing and stands for each element is a mask; one per sequence is a length.
	return shape.length === 1 ? "lengths" : "mask";
}

/** Keys and values of earlier steps: at least three axes, one of which (not the batch) has no fixed size. */
function isPast(name: string, shape: readonly Dim[]): boolean {
	if (shape.length < 3) return false;
	if (/past|cache|pkv|\bkv\b|mems?_?\d/i.test(name)) return true;
	return shape.some((dim) => typeof dim === "string" && /past|cache/i.test(dim));
}

const ORDER: Readonly<Record<InputKind, number>> = {
	ids: 0,
	past: 1,
	positions: 2,
	mask: 3,
	noise: 4,
	lengths: 5,
	offsets: 5,
	setting: 6,
	flag: 6,
};

/** Inputs whose axes are surest come first: their symbols then explain those of the others. */
function rankOf(draft: Draft): number {
	return ORDER[draft.kind];
}

function bindSymbols(draft: Draft, symbols: Map<string, SizeRole>, around: Surroundings): void {
	for (const [axis, dim] of draft.shape.entries()) {
		if (typeof dim !== "string" || dim === "" || symbols.has(dim) || termsOf(dim) !== undefined) continue;
		symbols.set(dim, roleOf(dim, axis, draft, around));
	}
}

function sizeOf(dim: Dim, axis: number, draft: Draft, symbols: ReadonlyMap<string, SizeRole>, around: Surroundings): AxisSize {
	if (isFixed(dim)) return dim;
	if (typeof dim !== "string" || dim === "") return roleOf("", axis, draft, around);
	const terms = termsOf(dim);
	if (terms === undefined) return symbols.get(dim) ?? roleOf(dim, axis, draft, around);
	return terms.map((term) => (typeof term === "number" ? term : (symbols.get(term) ?? roleOf(term, axis, draft, around))));
}

/** False for a size that is left to the caller (some exporters write 0 or -1 for it). */
function isFixed(dim: Dim): dim is number {
	return typeof dim === "number" && dim > 0;
}

/** The terms of a sum such as "past_sequence_length + 1"; undefined for anything else. */
function termsOf(symbol: string): (string | number)[] | undefined {
	const parts = symbol.split("+").map((part) => part.trim());
	if (parts.length < 2 || !parts.every((part) => /^\w+$/.test(part))) return undefined;
	return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** What the words of a symbol or of an input's name say, if they say anything. */
const HINTS: readonly (readonly [RegExp, SizeRole])[] = [
	[/batch|^[BN]$/i, "batch"],
	[/total|kv_?(seq|len)/i, "total"],
	[/encoder|source|src|cross|memory/i, "encoder"],
	[/past|cache|history/i, "past"],
	[/seq|length|^len|tokens|^[ST]$/i, "sequence"],
];

function hintOf(text: string): SizeRole | undefined {
	return HINTS.find(([pattern]) => pattern.test(text))?.[1];
}

/** The role of a size that is not fixed. */
function roleOf(symbol: string, axis: number, draft: Draft, { hasPast, hasIds }: Surroundings): SizeRole {
	const { name, kind, shape } = draft;
	const isEncoder = hintOf(name) === "encoder";
	const length = isEncoder && kind !== "ids" ? "encoder" : "sequence";
	const last = axis === shape.length - 1;
	// torch names unnamed axes after the input ("input_ids_d1"); such a name says nothing about the size.
	const said = symbol.startsWith(name) ? undefined : hintOf(symbol);
	// A single axis of ids or positions runs along the tokens, whatever its name.
	const hint = said === "batch" && shape.length === 1 && (kind === "ids" || kind === "positions") ? undefined : said;
	if (kind === "mask" && last && axis > 0 && hasPast && !isEncoder && hint !== "encoder")
		return hint === "past" || hint === "sequence" ? hint : "total";
	if (hint !== undefined) return hint;
	if (kind === "past") return axis === shape.findIndex((dim) => !isFixed(dim)) ? "batch" : isEncoder ? "encoder" : "past";
	if (kind === "noise") return noiseRole(axis, draft, isEncoder || hasIds ? "encoder" : "sequence");
	if (shape.length === 1) return kind === "ids" || kind === "positions" || kind === "mask" ? length : "batch";
	if (last) return length;
	return axis === 0 || (kind === "positions" && axis === shape.length - 2) ? "batch" : kind === "mask" ? "sequence" : "other";
}

/** Hidden states are [batch, length, size]; a recurrent state is [layers, batch, size]; images are [batch, …]. */
function noiseRole(axis: number, { shape, name }: Draft, length: SizeRole): SizeRole {
	if (axis === 0) return "batch";
	if (shape.length !== 3 || axis === 2) return "other";
	const isState = isFixed(shape[0]) && /^[hc]_?\d*$|hidden|state|cell/i.test(name);
	return isState ? "batch" : length;
}
