// The rule of Conv: any number of spatial axes, groups, strides, dilations and paddings.
import { int, intOf, ints, intsOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom, sizeOf } from "../facts.js";
import { type RuleContext, rule } from "../rule.js";

interface Window {
	readonly group: number;
	readonly kernel: readonly number[];
	readonly strides: readonly number[];
	readonly dilations: readonly number[];
	/** Starts of all spatial axes, then their ends. */
	readonly pads: readonly number[];
}

function windowOf({ node, dims, unsupported }: RuleContext): Window {
	const auto = stringOf(node, "auto_pad", "NOTSET");
	if (auto !== "NOTSET" && auto !== "VALID") unsupported(`Conv with auto_pad "${auto}"`);
	const kernel = dims(1).slice(2);
	const ones = kernel.map(() => 1);
	return {
		group: intOf(node, "group", 1),
		kernel,
		strides: intsOf(node, "strides") ?? ones,
		dilations: intsOf(node, "dilations") ?? ones,
		pads: intsOf(node, "pads") ?? [...kernel, ...kernel].map(() => 0),
	};
}

/** dX: the transposed convolution of G, cut or filled up to X's sizes. */
function ofInput({ ops, g, x, dims }: RuleContext, { group, kernel, strides, dilations, pads }: Window): Value {
	const spatial = kernel.length;
	// Elements at the end that no window reached.
	const rest = kernel.map((size, axis) => {
		const padded = (dims(0)[axis + 2] ?? 0) + (pads[axis] ?? 0) + (pads[axis + spatial] ?? 0);
		const reach = ((ops.dims(g)[axis + 2] ?? 1) - 1) * (strides[axis] ?? 1) + (size - 1) * (dilations[axis] ?? 1) + 1;
		return padded - reach;
	});
	const attributes = {
		group: int(group),
		strides: ints(strides),
		dilations: ints(dilations),
		pads: ints(pads),
		output_padding: ints(rest),
	};
	return ops.one("ConvTranspose", [g, x(1)], { dtype: ops.dtype(g), dims: dims(0) }, attributes);
}

/** dW: for each place in the kernel the product of G with the elements of X that met it, summed over batch and positions. */
function ofWeights({ ops, g, x, dims }: RuleContext, { group, kernel, strides, dilations, pads }: Window): Value {
	const [batch = 1, channels = 1] = dims(0);
	const outputs = dims(1)[0] ?? 1;
	const spatial = kernel.length;
	const padded = ops.pad(x(0), [0, 0, ...pads.slice(0, spatial)], [0, 0, ...pads.slice(spatial)]);
	const positions = sizeOf(ops.dims(g), 2);
	const rows = ops.reshape(g, [batch, group, outputs / group, positions]);
	const places = axesFrom(0, sizeOf(kernel)).map((place) => {
		const ranges = kernel.map((_, axis) => {
			const at = Math.floor(place / sizeOf(kernel, axis + 1)) % (kernel[axis] ?? 1);
			const start = at * (dilations[axis] ?? 1);
			const step = strides[axis] ?? 1;
			return { axis: axis + 2, start, end: start + ((ops.dims(g)[axis + 2] ?? 1) - 1) * step + 1, step };
		});
		const met = ops.reshape(ops.slice(padded, ranges), [batch, group, channels / group, positions]);
		const product = ops.sum(ops.matmul(rows, ops.transposed(met)), [0]);
		return ops.reshape(product, [outputs, channels / group, 1]);
	});
	return ops.reshape(ops.concat(places, 2), dims(1));
}

export const convolutions = {
	// Y = W ∗ X + b: db = Σ G over batch and positions
	Conv: rule((context) => {
		const { ops, g } = context;
		const window = windowOf(context);
		const others = axesFrom(0, ops.rank(g)).filter((axis) => axis !== 1);
		return [() => ofInput(context, window), () => ofWeights(context, window), () => ops.sum(g, others)];
	}),
};
