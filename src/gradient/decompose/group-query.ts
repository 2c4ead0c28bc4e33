// onnxruntime's GroupQueryAttention: heads that share keys, with rotary positions and the keys of earlier calls.
import { floatOf, intOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom } from "../facts.js";
import type { Ops } from "../ops.js";
import type { RuleContext } from "../rule.js";
import { attend, joinHeads, type Rotary, rotate, splitHeads } from "./attend.js";
import { type Results, scaleOf, withPast } from "./attention.js";

/**
 * com.microsoft.GroupQueryAttention: query (or all three side by side), key, value, past_key, past_value, seqlens_k,
 * total_sequence_length, cos_cache, sin_cache, position_ids, attention_bias, head_sink.
 * Training runs whole sequences: every sequence of a batch, with its past, is as long as the batch.
 */
export function groupQueryAttention(context: RuleContext): Results {
	const { ops, x, has, node, dims } = context;
	const [heads, groups] = [intOf(node, "num_heads", 1), intOf(node, "kv_num_heads", 1)];
	const [, length = 1, width = 1] = dims(0);
	const past = pastOf(context, length);
	const size = width / (has(1) ? heads : heads + 2 * groups);
	const parts = has(1) ? [x(0), x(1), x(2)] : ops.split(x(0), 2, [heads * size, groups * size, groups * size]);
	const [query, newKey, newValue] = parts.map((part, index) => splitHeads(ops, part, index === 0 ? heads : groups)) as [
		Value,
		Value,
		Value,
	];
	const rotary = intOf(node, "do_rotary", 0) === 0 ? undefined : rotaryOf(context, past, length);
	const turned = (part: Value) => (rotary === undefined ? part : rotate(ops, part, rotary));
	const key = withPast(context, 3, turned(newKey));
	const value = withPast(context, 4, newValue);
	const result = attend(ops, {
		query: turned(query),
		key,
		value,
		scale: scaleOf(context),
		softcap: floatOf(node, "softcap", 0),
		causal: intOf(node, "causal", 1) !== 0,
		window: Math.max(0, intOf(node, "local_window_size", -1)),
		sink: sinkOf(context, heads),
		mask: has(10) ? (scores) => ops.add(scores, x(10)) : undefined,
	});
	return [joinHeads(ops, result), key, value];
}

/** Length of the past. Refuses what the keys of earlier calls may be besides: quantized, or a part of a longer buffer. */
function pastOf({ ops, x, has, node, dims, unsupported }: RuleContext, length: number): number {
	if (["k_quant_type", "v_quant_type"].some((name) => stringOf(node, name, "NONE") !== "NONE"))
		unsupported("GroupQueryAttention with a quantized past");
	if (intOf(node, "sliding_window_cache", 0) !== 0) unsupported("GroupQueryAttention with a past that slides");
	const past = has(3) ? (dims(3)[2] ?? 0) : 0;
	if (past === 0) return 0;
	const present = node.outputs[1];
	const total = present !== undefined && ops.knows(present) ? ops.dims(present)[2] : ops.facts(x(6)).values?.[0];
	if (total !== past + length) unsupported("GroupQueryAttention with a past in a longer buffer");
	if (ops.facts(x(5)).values?.some((last) => last !== past + length - 1) === true)
		unsupported("GroupQueryAttention with pasts of different lengths");
	return past;
}

/** Angles at the positions behind the past, unless position_ids says other ones: without a past, the first of them where all begin. */
function rotaryOf({ ops, x, has, node }: RuleContext, past: number, length: number): Rotary {
	const interleaved = intOf(node, "rotary_interleaved", 0) !== 0;
	const after = ops.reshape(ops.integers(axesFrom(past, length)), [1, length]);
	const positions = has(9) ? (past > 0 ? x(9) : ops.add(after, first(ops, x(9)))) : after;
	return { cos: ops.gather(x(7), positions, 0), sin: ops.gather(x(8), positions, 0), interleaved };
}

/** The first element, [1, 1]. */
function first(ops: Ops, value: Value): Value {
	return ops.slice(value, [
		{ axis: 0, start: 0, end: 1 },
		{ axis: 1, start: 0, end: 1 },
	]);
}

/** The score beside the keys of each head: given, or 0 for a smooth softmax. */
function sinkOf({ ops, x, has, node }: RuleContext, heads: number): Value | undefined {
	if (has(11)) return x(11);
	return intOf(node, "smooth_softmax", 0) === 1 ? ops.filled([heads], ops.dtype(x(0))) : undefined;
}
