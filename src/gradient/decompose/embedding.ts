// EmbedLayerNormalization, and reads of a sequence that a split has just made.
import { float, floatOf, int, intOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { frontAxis } from "../facts.js";
import type { RuleContext } from "../rule.js";

type Results = readonly (Value | undefined)[];

/** ids, segment ids, word, position and segment tables, scale, bias, mask, position ids → normalized, keys seen per row, sum. */
export function embedLayerNormalization({ ops, x, has, node, dims }: RuleContext): Results {
	const [batch = 1, length = 1] = dims(0);
	const words = ops.gather(x(2), x(0), 0);
	const positions = has(8) ? ops.gather(x(3), x(8), 0) : ops.slice(x(3), [{ axis: 0, start: 0, end: length }]);
	const placed = ops.add(words, positions);
	const sum = has(1) && has(4) ? ops.add(placed, ops.gather(x(4), x(1), 0)) : placed;
	const attributes = { axis: int(-1), epsilon: float(floatOf(node, "epsilon", 1e-12)) };
	const normal = ops.one("LayerNormalization", [sum, x(5), x(6)], { dtype: ops.dtype(sum), dims: ops.dims(sum) }, attributes);
	const seen = has(7) ? ops.cast(ops.sum(x(7), [1]), "int32") : ops.filled([batch], "int32");
	return [normal, seen, sum];
}

/** SequenceAt(SplitToSequence(x, sizes), constant): a slice of x. */
export function sequenceAt({ ops, x, integers, unsupported }: RuleContext): Results {
	const split = x(0).producer;
	const [source, sizes] = split?.inputs ?? [];
	if (split?.is("SplitToSequence") !== true || source === undefined) return unsupported("SequenceAt of a sequence that no split has made");
	const dims = ops.dims(source);
	const axis = frontAxis(intOf(split, "axis", 0), dims.length);
	const size = dims[axis] ?? 0;
	const known = sizes === undefined ? [] : ops.facts(sizes).values;
	if (known === undefined) return unsupported("SplitToSequence with sizes that depend on data");
	const isScalar = sizes === undefined || ops.rank(sizes) === 0;
	const each = sizes === undefined ? 1 : (known[0] ?? 1);
	const parts = isScalar ? Array.from({ length: Math.ceil(size / each) }, (_, at) => Math.min(each, size - at * each)) : known;
	const index = frontAxis(integers(1)?.[0] ?? 0, parts.length);
	const start = parts.slice(0, index).reduce((sum, part) => sum + part, 0);
	const piece = ops.slice(source, [{ axis, start, end: start + (parts[index] ?? 0) }]);
	const drops = sizes === undefined && intOf(split, "keepdims", 1) === 0;
	return [drops ? ops.reshape(piece, dims.toSpliced(axis, 1)) : piece];
}
