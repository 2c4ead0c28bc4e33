// Attention in its fused forms: ONNX 23, and onnxruntime's Attention, MultiHeadAttention and RotaryEmbedding.
import { floatOf, intOf, intsOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom } from "../facts.js";
import type { Ops } from "../ops.js";
import type { RuleContext } from "../rule.js";
import { attend, joinHeads, masked, rotate, splitHeads } from "./attend.js";

export type Results = readonly (Value | undefined)[];

/** The factor of the scores; undefined: 1 / √size. */
export function scaleOf({ node }: RuleContext): number | undefined {
	const scale = floatOf(node, "scale", 0);
	return scale === 0 ? undefined : scale;
}

/** `past` before `now` along the axis of positions; `now` alone if there is no past. */
export function withPast({ ops, has, x }: RuleContext, past: number, now: Value): Value {
	return has(past) && (ops.dims(x(past))[2] ?? 0) > 0 ? ops.concat([x(past), now], 2) : now;
}

/** ai.onnx Attention: Q, K, V, attn_mask, past_key, past_value, nonpad_kv_seqlen. */
export function attention(context: RuleContext): Results {
	const { ops, x, has, node, rank, dims } = context;
	const isFlat = rank(0) === 3;
	const heads = (index: number, name: string) => (isFlat ? splitHeads(ops, x(index), intOf(node, name, 1)) : x(index));
	const query = heads(0, "q_num_heads");
	const key = withPast(context, 4, heads(1, "kv_num_heads"));
	const value = withPast(context, 5, heads(2, "kv_num_heads"));
	const offset = has(4) ? (dims(4)[2] ?? 0) : 0;
	const causal = intOf(node, "is_causal", 0) !== 0;
	const padded = has(6) ? beforePadding(ops, x(6), ops.dims(query)[2] ?? 1, ops.dims(key)[2] ?? 1, causal) : undefined;
	const mask = (scores: Value) => {
		const seen = padded === undefined ? scores : masked(ops, scores, padded);
		if (!has(3)) return seen;
		return ops.dtype(x(3)) === "bool" ? masked(ops, seen, x(3)) : ops.add(seen, x(3));
	};
	const softcap = floatOf(node, "softcap", 0);
	const result = attend(ops, { query, key, value, scale: scaleOf(context), softcap, causal: causal && !has(6), offset, mask });
	return [isFlat ? joinHeads(ops, result) : result, key, value];
}

/** True for the first `counts` keys of each sequence, [batch, 1, length or 1, keys]; where causal, the last query sees the last of them. */
function beforePadding(ops: Ops, counts: Value, length: number, keys: number, causal: boolean): Value {
	const along = (size: number, dims: readonly number[]) => ops.reshape(ops.integers(axesFrom(0, size)), dims);
	const ends = ops.reshape(counts, [ops.dims(counts)[0] ?? 1, 1, 1, 1]);
	const position = along(keys, [1, 1, 1, keys]);
	const seen = ops.less(position, ends);
	return causal ? ops.and(seen, ops.less(position, ops.add(along(length, [1, 1, length, 1]), ops.sub(ends, length - 1)))) : seen;
}

/** ai.onnx RotaryEmbedding: X, cos_cache, sin_cache, position_ids. */
export function rotaryEmbedding({ ops, x, has, node, rank }: RuleContext): Results {
	const isFlat = rank(0) === 3;
	const value = isFlat ? splitHeads(ops, x(0), intOf(node, "num_heads", 1)) : x(0);
	const [cos, sin] = has(3) ? [ops.gather(x(1), x(3), 0), ops.gather(x(2), x(3), 0)] : [x(1), x(2)];
	const result = rotate(ops, value, { cos, sin, interleaved: intOf(node, "interleaved", 0) !== 0 });
	return [isFlat ? joinHeads(ops, result) : result];
}

/** com.microsoft.RotaryEmbedding: input, position_ids (one offset, or [batch, length]), cos_cache, sin_cache. */
export function rotaryEmbeddingOfOrt(context: RuleContext): Results {
	const { ops, x, node, rank, dims, unsupported } = context;
	if (intOf(node, "is_packed_batching", 0) !== 0 || floatOf(node, "scale", 1) !== 1) unsupported("RotaryEmbedding, packed or scaled");
	const half = ops.dims(x(2))[1] ?? 1;
	const width = dims(0).at(-1) ?? 1;
	const named = intOf(node, "num_heads", 0);
	const isFlat = rank(0) === 3;
	const value = isFlat ? splitHeads(ops, x(0), named > 0 ? named : width / (2 * half)) : x(0);
	const length = ops.dims(value)[2] ?? 1;
	const positions =
		ops.rank(x(1)) === 2 ? x(1) : ops.add(ops.reshape(x(1), [1, 1]), ops.reshape(ops.integers(axesFrom(0, length)), [1, length]));
	const [cos, sin] = [ops.gather(x(2), positions, 0), ops.gather(x(3), positions, 0)];
	const result = rotate(ops, value, { cos, sin, interleaved: intOf(node, "interleaved", 0) !== 0 });
	return [isFlat ? joinHeads(ops, result) : result];
}

/**
 * A mask of onnxruntime: 1 for keys that are seen, [batch, keys] or [batch, length, keys]; or the number of keys seen, [batch],
 * with the first key seen behind it, [2 · batch], or with what only other devices read, [3 · batch + 2].
 */
function keysSeen(context: RuleContext, index: number, keys: number): ((scores: Value) => Value) | undefined {
	const { ops, x, has, rank, dims, unsupported } = context;
	if (!has(index)) return undefined;
	const [batch = 1] = dims(0);
	const [count = 1, second = 1] = dims(index);
	const filter = floatOf(context.node, "mask_filter_value", -10000);
	const additive = (seen: Value) => (scores: Value) => ops.add(scores, ops.where(seen, ops.scalar(0, "float32"), filter));
	if (rank(index) === 2 && second === keys) return additive(ops.reshape(ops.greater(x(index), 0), [batch, 1, 1, keys]));
	if (rank(index) === 3) return additive(ops.reshape(ops.greater(x(index), 0), [batch, 1, second, keys]));
	if (rank(index) !== 1) return unsupported(`${context.node.opType} with a mask of these sizes`);
	const positions = ops.cast(ops.reshape(ops.integers(axesFrom(0, keys)), [1, keys]), ops.dtype(x(index)));
	const bound = (start: number) => ops.reshape(ops.slice(x(index), [{ axis: 0, start, end: start + batch }]), [batch, 1]);
	const before = ops.less(positions, bound(0));
	const seen = count === 2 * batch ? ops.and(before, ops.not(ops.less(positions, bound(batch)))) : before;
	return additive(ops.reshape(seen, [batch, 1, 1, keys]));
}

function both(ops: Ops, mask: ((scores: Value) => Value) | undefined, bias: Value | undefined) {
	return (scores: Value) => {
		const shifted = bias === undefined ? scores : ops.add(scores, bias);
		return mask === undefined ? shifted : mask(shifted);
	};
}

/** com.microsoft.Attention: input, weights, bias, mask_index, past (keys, then values), attention_bias. */
export function attentionOfOrt(context: RuleContext): Results {
	const { ops, x, has, node, dims, rank, unsupported } = context;
	if (has(6)) unsupported("Attention with a past in a longer buffer");
	const heads = intOf(node, "num_heads", 1);
	const width = dims(1)[1] ?? 3;
	const sizes = intsOf(node, "qkv_hidden_sizes") ?? [width / 3, width / 3, width / 3];
	const product = ops.matmul(x(0), x(1));
	const parts = ops.split(has(2) ? ops.add(product, x(2)) : product, rank(0) - 1, sizes);
	const [query, newKey, newValue] = parts.map((part) => splitHeads(ops, part, heads)) as [Value, Value, Value];
	const behind = (side: number, now: Value) => {
		const past = has(4) ? ops.slice(x(4), [{ axis: 0, start: side, end: side + 1 }]) : undefined;
		return past === undefined ? now : ops.concat([ops.reshape(past, ops.dims(past).slice(1)), now], 2);
	};
	const [key, value] = [behind(0, newKey), behind(1, newValue)];
	const mask = both(ops, keysSeen(context, 3, ops.dims(key)[2] ?? 1), has(5) ? x(5) : undefined);
	const causal = intOf(node, "unidirectional", 0) !== 0;
	const result = joinHeads(ops, attend(ops, { query, key, value, scale: scaleOf(context), causal, mask }));
	if (node.outputs[1] === undefined) return [result];
	const sides = [key, value].map((side) => ops.reshape(side, [1, ...ops.dims(side)]));
	return [result, ops.concat(sides, 0)];
}

/**
 * com.microsoft.MultiHeadAttention: query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value.
 * Keys and values are by heads (of another sequence) or not; packed ones the engine does not run on the CPU either.
 */
export function multiHeadAttention(context: RuleContext): Results {
	const { ops, x, has, node, rank, unsupported } = context;
	if (!has(1) || !has(2)) unsupported("MultiHeadAttention of packed operands");
	if (has(8) || has(9)) unsupported("MultiHeadAttention with a past in a longer buffer");
	const heads = intOf(node, "num_heads", 1);
	const width = ops.dims(x(0))[2] ?? 1;
	const valueWidth = rank(2) === 3 ? (ops.dims(x(2))[2] ?? 1) : width;
	const biases = has(3) ? ops.split(x(3), 0, [width, width, valueWidth]) : [];
	const headsOf = (index: number) => {
		if (rank(index) === 4) return x(index);
		const bias = biases[index];
		return splitHeads(ops, bias === undefined ? x(index) : ops.add(x(index), bias), heads);
	};
	const key = withPast(context, 6, headsOf(1));
	const value = withPast(context, 7, headsOf(2));
	const mask = both(ops, keysSeen(context, 4, ops.dims(key)[2] ?? 1), has(5) ? x(5) : undefined);
	const causal = intOf(node, "unidirectional", 0) !== 0;
	return [joinHeads(ops, attend(ops, { query: headsOf(0), key, value, scale: scaleOf(context), causal, mask })), key, value];
}
