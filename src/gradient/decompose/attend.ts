// Scaled dot-product attention and rotary positions from standard operators; the fused forms differ only in how they arrive here.
import type { Value } from "../../ir/graph.js";
import type { Ops } from "../ops.js";

/** Finite, so that a row with nothing to see is no NaN. */
const LOWEST = -3.4e38;

export interface Heads {
	/** [batch, heads, length, size]. */
	readonly query: Value;
	/** [batch, key heads, keys, size]; the heads of the query are a multiple of the key heads. */
	readonly key: Value;
	/** [batch, key heads, keys, value size]. */
	readonly value: Value;
	/** 1 / √size if undefined. */
	readonly scale?: number | undefined;
	/** scores → softcap · tanh(scores / softcap); none if 0. */
	readonly softcap?: number;
	/** Query i sees keys up to i + offset. */
	readonly causal?: boolean;
	/** keys − length if undefined. */
	readonly offset?: number;
	/** Where causal: only the last `window` of these keys, the query's own position included; all of them if 0. */
	readonly window?: number;
	/** [heads]: a score of each head that takes part in the softmax and gives nothing. */
	readonly sink?: Value | undefined;
	/** Changes the scores, [batch, heads, length, keys], before the softmax. */
	readonly mask?: ((scores: Value) => Value) | undefined;
}

/** softmax(mask(scale · Q Kᵀ)) V: [batch, heads, length, value size]. */
export function attend(ops: Ops, given: Heads): Value {
	const { query, key, value, scale, softcap = 0, causal = false, window = 0, sink, mask } = given;
	const [batch = 1, heads = 1, length = 1, size = 1] = ops.dims(query);
	const [, groups = 1, keys = 1] = ops.dims(key);
	// Heads that share keys stand side by side as more rows of one product.
	const share = heads / groups;
	const wide = ops.reshape(query, [batch, groups, share * length, size]);
	const products = ops.reshape(ops.matmul(wide, ops.transposed(key)), [batch, heads, length, keys]);
	let scores = ops.mul(products, scale ?? 1 / Math.sqrt(size));
	if (softcap !== 0) scores = ops.mul(ops.tanh(ops.div(scores, softcap)), softcap);
	if (causal) scores = ops.where(causalMask(ops, length, keys, given.offset ?? keys - length, window), scores, LOWEST);
	if (mask !== undefined) scores = mask(scores);
	const shares = sink === undefined ? ops.softmax(scores, -1) : softmaxBeside(ops, scores, sink);
	const weights = ops.reshape(shares, [batch, groups, share * length, keys]);
	return ops.reshape(ops.matmul(weights, value), [batch, heads, length, ops.dims(value)[3] ?? 1]);
}

/** True where query i may see key j: j ≤ i + offset, and j > i + offset − window where there is a window. */
function causalMask(ops: Ops, length: number, keys: number, offset: number, window: number): Value {
	const ones = ops.filled([length, keys], "float32", 1);
	const upTo = (diagonal: number) => ops.trilu(ones, ops.scalar(diagonal, "int64"), false);
	const seen = upTo(offset);
	return ops.greater(window > 0 ? ops.sub(seen, upTo(offset - window)) : seen, 0);
}

/** The softmax of scores [batch, heads, length, keys] with one more score of each head beside them, without that one's share. */
function softmaxBeside(ops: Ops, scores: Value, sink: Value): Value {
	const [batch = 1, heads = 1, length = 1, keys = 1] = ops.dims(scores);
	const beside = ops.expand(ops.reshape(sink, [1, heads, 1, 1]), [batch, heads, length, 1]);
	return ops.slice(ops.softmax(ops.concat([scores, beside], 3), -1), [{ axis: 3, start: 0, end: keys }]);
}

/** Scores where `seen` holds (a bool value that repeats to the scores' sizes), the lowest number elsewhere. */
export function masked(ops: Ops, scores: Value, seen: Value): Value {
	return ops.where(seen, scores, LOWEST);
}

/** [batch, length, heads · size] → [batch, heads, length, size]. */
export function splitHeads(ops: Ops, value: Value, heads: number): Value {
	const [batch = 1, length = 1, width = 1] = ops.dims(value);
	return ops.transpose(ops.reshape(value, [batch, length, heads, width / heads]), [0, 2, 1, 3]);
}

/** [batch, heads, length, size] → [batch, length, heads · size]. */
export function joinHeads(ops: Ops, value: Value): Value {
	const [batch = 1, heads = 1, length = 1, size = 1] = ops.dims(value);
	return ops.reshape(ops.transpose(value, [0, 2, 1, 3]), [batch, length, heads * size]);
}

export interface Rotary {
	/** [batch or 1, length, half the rotated size]. */
	readonly cos: Value;
	readonly sin: Value;
	/** Pairs are neighbours, not halves. */
	readonly interleaved: boolean;
}

/** Each pair (a, b) of the first elements becomes (a cos − b sin, b cos + a sin); `value` is [batch, heads, length, size]. */
export function rotate(ops: Ops, value: Value, { cos, sin, interleaved }: Rotary): Value {
	const [batch = 1, heads = 1, length = 1, size = 1] = ops.dims(value);
	const [, , half = 1] = ops.dims(cos);
	const rest = size - 2 * half;
	const [turned, kept] = rest > 0 ? ops.split(value, 3, [2 * half, rest]) : [value];
	const [c, s] = [cos, sin].map((cache) => ops.reshape(cache, [ops.dims(cache)[0] ?? 1, 1, length, half])) as [Value, Value];
	const pairs = interleaved ? ops.transpose(ops.reshape(turned ?? value, [batch, heads, length, half, 2]), [0, 1, 2, 4, 3]) : turned;
	const [a, b] = ops.split(ops.reshape(pairs ?? value, [batch, heads, length, 2 * half]), 3, [half, half]) as [Value, Value];
	const first = ops.sub(ops.mul(a, c), ops.mul(b, s));
	const second = ops.add(ops.mul(b, c), ops.mul(a, s));
	const joined = ops.concat([first, second], 3);
	const back = interleaved
		? ops.reshape(ops.transpose(ops.reshape(joined, [batch, heads, length, 2, half]), [0, 1, 2, 4, 3]), [batch, heads, length, 2 * half])
		: joined;
	return kept === undefined ? back : ops.concat([back, kept], 3);
}
