// Projections by a coded table: a product for each block of rows, in standard operators by the decoded block, in onnxruntime's by its codes.
import { DistembError } from "../../src/errors.js";
import { int } from "../../src/ir/attributes.js";
import { Chain } from "../../src/ir/build.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { nodeLabel } from "../../src/ir/walk.js";
import type { BlockLayout } from "../../src/linalg/coding.js";
import { isZeroConstant, multiplyByCodes, type Step, stepsAfter } from "./rewire.js";
import type { StoredCoding } from "./stored-coding.js";

/** h·Uᵀ: one product, or one for each block, put together, in the order of the ids. */
export function project(node: Node, stored: StoredCoding): void {
	const [hidden, , c] = node.inputs;
	const [output] = node.outputs;
	if (hidden === undefined || output === undefined) throw new DistembError("internal", `${nodeLabel(node)} is no projection`);
	const chain = new Chain(node.graph, node, output.name);
	const added = stepsAfter(node, c === undefined || isZeroConstant(c) ? undefined : c, chain);
	const steps = stored.form !== "blocks" ? [wholeProduct(chain, node, stored)] : blockSteps(chain, node, hidden, stored);
	let result = hidden;
	for (const [index, step] of [...steps, ...added].entries()) {
		result = step(result, index === steps.length + added.length - 1 ? output : undefined);
	}
}

/** A product for each block, put together, in the order of the ids. */
function blockSteps(chain: Chain, node: Node, hidden: Value, stored: StoredCoding): Step[] {
	const steps: Step[] = [];
	const { blocks, spacing } = stored.layout;
	const lastAxis = { attributes: { axis: int(-1) } };
	const product = spacing === "equal" ? productOfCodes : productOfNumbers;
	const parts = blocks.map((block, index): Step => product(chain, node, hidden, stored, block, index));
	if (parts.length === 1) steps.push(...parts);
	else
		steps.push((input, defines) =>
			chain.add(
				"Concat",
				parts.map((part) => part(input, undefined)),
				"scores_by_place",
				{ ...lastAxis, defines },
			),
		);
	if (stored.isPermuted)
		steps.push((input, defines) => chain.add("Gather", [input, stored.places()], "scores_by_id", { ...lastAxis, defines }));
	return steps;
}

/** h·Uᵀ, where the engine has decoded all rows and put them in the order of the ids. */
function wholeProduct(chain: Chain, node: Node, stored: StoredCoding): Step {
	return (input, defines) => multiplied(chain, node, input, (isTransposed) => stored.decodedWhole(isTransposed), defines);
}

/** h·Uᵀ of a block that the engine has decoded. */
function productOfNumbers(chain: Chain, node: Node, hidden: Value, stored: StoredCoding, block: BlockLayout, index: number): Step {
	const columns = block.rank === stored.layout.rank ? hidden : firstColumns(chain, hidden, block.rank);
	return (_, defines) => multiplied(chain, node, columns, (isTransposed) => stored.decoded(index, isTransposed), defines);
}

/** By a matrix U that is given as it is or transposed, in the operator of the node that stood here. */
function multiplied(chain: Chain, node: Node, h: Value, decoded: (isTransposed: boolean) => Value, defines: Value | undefined): Value {
	if (node.is("MatMul")) return chain.add("MatMul", [h, decoded(true)], "scores", { defines });
	return chain.add("Gemm", [h, decoded(false)], "scores", { attributes: { transB: int(1) }, defines });
}

/** h·Uᵀ of a block as the sum of products by the codes of each precision. */
function productOfCodes(chain: Chain, _node: Node, hidden: Value, stored: StoredCoding, block: BlockLayout, index: number): Step {
	const { kinds, rank } = stored.layout;
	const products = kinds.flatMap(({ perByte, digit }, kind): Step[] => {
		const columns = [...block.kindOf.keys()].filter((column) => kinds[block.kindOf[column] ?? 0]?.perByte === perByte);
		if (digit > 0 || perByte === 0 || columns.length === 0) return [];
		const { codes, scales, form } = stored.multiplied(index, kind, columns.length);
		return [(_, defines) => multiplyByCodes(chain, [columnsOf(chain, hidden, columns, rank), codes, scales], form, defines)];
	});
	return (input, defines) => {
		if (products.length === 1) return products.reduce((value, product) => product(value, defines), input);
		const [first, ...others] = products.map((product) => product(input, undefined));
		if (first === undefined) throw new DistembError("internal", `block ${index} has no columns`);
		return others.reduce(
			(sum, value, at) => chain.add("Add", [sum, value], "scores", { defines: at === others.length - 1 ? defines : undefined }),
			first,
		);
	};
}

/** Some columns of the states: all, the first, or a choice. */
function columnsOf(chain: Chain, hidden: Value, columns: readonly number[], rank: number): Value {
	if (columns.length === rank) return hidden;
	if (columns.every((column, index) => column === index)) return firstColumns(chain, hidden, columns.length);
	const chosen = chain.constant("int64", columns, "chosen_columns");
	return chain.add("Gather", [hidden, chosen], "columns", { attributes: { axis: int(-1) } });
}

function firstColumns(chain: Chain, matrix: Value, count: number): Value {
	const bound = (value: number, label: string) => chain.constant("int64", [value], label);
	return chain.add("Slice", [matrix, bound(0, "first"), bound(count, "columns"), bound(-1, "last_axis")], "columns");
}
