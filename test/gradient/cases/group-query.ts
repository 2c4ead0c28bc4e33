// Cases of com.microsoft.GroupQueryAttention. The engine wants heads of a multiple of 8 numbers, of 16 with rotary positions.
import type { GradientCase } from "../check.js";
import { f32, node } from "./node.js";

interface Use {
	readonly batch?: number;
	readonly length?: number;
	/** Query, key and value side by side. */
	readonly packed?: boolean;
	readonly past?: number;
	readonly size?: number;
	/** Half of the rotated part of a head. */
	readonly rotary?: number;
	readonly positions?: readonly number[];
	/** Declared sizes of the bias and of the sink. */
	readonly bias?: string;
	readonly sink?: boolean;
	readonly attributes?: string;
	readonly outputs?: string;
}

/** 4 heads that share 2 heads of keys. */
export function grouped(about: string, use: Use): GradientCase {
	const { batch = 1, length = 3, packed = false, past, size = use.rotary === undefined ? 8 : 16, rotary, positions, bias, sink } = use;
	const tensor = (name: string, ...dims: readonly number[]) => `${name}: T[${dims.join(", ")}]`;
	const total = length + (past ?? 0);
	const inputs = [
		tensor("q", batch, length, (packed ? 8 : 4) * size),
		...(packed ? ["", ""] : [tensor("k", batch, length, 2 * size), tensor("v", batch, length, 2 * size)]),
		...(past === undefined ? ["", ""] : [tensor("pk", batch, 2, past, size), tensor("pv", batch, 2, past, size)]),
		`l: int32[${batch}]`,
		"t: int32[]",
		...(rotary === undefined ? ["", ""] : [tensor("c", 8, rotary), tensor("s", 8, rotary)]),
		positions === undefined ? "" : `p: int64[${batch}, ${length}]`,
		bias === undefined ? "" : `b: T[${bias}]`,
		sink === true ? "h: T[4]" : "",
	];
	const kept = inputs.slice(0, inputs.findLastIndex((input) => input !== "") + 1);
	const attributes = [
		"num_heads=4",
		"kv_num_heads=2",
		...(rotary === undefined ? [] : ["do_rotary=1"]),
		...(use.attributes?.split(", ") ?? []),
	];
	const operator = `com.microsoft.GroupQueryAttention<${attributes.join(", ")}>`;
	const feeds = { l: new Array<number>(batch).fill(total - 1), t: [total], ...(positions === undefined ? {} : { p: positions }) };
	const parameters = kept.flatMap((input) => (input.includes(": T[") && !input.includes(", 0,") ? [input.split(":")[0] ?? ""] : []));
	return node(about, operator, kept, use.outputs ?? "y, k2, v2", { feeds, parameters, ...f32 });
}

export const groupQuery: readonly GradientCase[] = [
	grouped("shared keys, rotary, an empty past", { past: 0, rotary: 8 }),
	grouped("two sequences, a scale", { batch: 2, attributes: "scale=0.5" }),
	grouped("packed, two sequences", { batch: 2, packed: true }),
	grouped("packed, rotary neighbours, only a part turned", { packed: true, size: 32, rotary: 8, attributes: "rotary_interleaved=1" }),
	grouped("a past", { past: 2 }),
	grouped("packed, a past, rotary", { packed: true, past: 2, rotary: 8 }),
	grouped("one new token behind a past, two sequences", { batch: 2, length: 1, past: 3, rotary: 8 }),
	grouped("a window", { length: 6, attributes: "local_window_size=2" }),
	grouped("a window behind a past, packed", { length: 3, past: 3, packed: true, attributes: "local_window_size=3" }),
	grouped("softcap and a bias for each head", { attributes: "softcap=1.5", bias: "1, 4, 3, 3" }),
	grouped("one bias for all, a past", { past: 2, bias: "1, 1, 3, 5" }),
	grouped("a bias and a window", { length: 5, bias: "1, 4, 5, 5", attributes: "local_window_size=2" }),
	grouped("positions of its own, without a past from the first on", { rotary: 8, positions: [3, 0, 0] }),
	grouped("positions of its own behind a past", { past: 2, rotary: 8, positions: [2, 5, 4] }),
	grouped("a smooth softmax", { attributes: "smooth_softmax=1" }),
	grouped("sinks, a window", { length: 4, sink: true, attributes: "local_window_size=2" }),
	grouped("not causal", { attributes: "causal=0" }),
];
