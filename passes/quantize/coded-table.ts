// Where it costs an engine next to nothing to multiply the decoded factors when it loads the model, lookups and projections are what they were.
import { int } from "../../src/ir/attributes.js";
import { Chain } from "../../src/ir/build.js";
import { removeUnused, setAttribute, setInput } from "../../src/ir/edit.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { readers } from "../../src/ir/walk.js";
import { isZeroConstant } from "./rewire.js";
import type { StoredCoding } from "./stored-coding.js";

/** A node that reads U, and the one that reads W beside it. */
interface Pair {
	readonly node: Node;
	readonly partner: Node;
	readonly right: Value;
}

/** Makes every reader of U read U·W, and none W; false, and nothing is changed, where a reader stands otherwise than `factorize` leaves it. */
export function readTable(uses: readonly Node[], stored: StoredCoding): boolean {
	if (stored.compute !== "float32") return false;
	const pairs = uses.map((node) => (node.is("Gather") ? lookupOf(node) : projectionOf(node)));
	if (!pairs.every((pair) => pair !== undefined) || !pairs.some(({ node }) => !node.is("Gather"))) return false;
	for (const pair of pairs) {
		const table = stored.decodedTable(pair.right);
		if (pair.node.is("Gather")) gatherFrom(table, pair);
		else multiplyBy(table, pair);
	}
	return true;
}

/** Gather(U, ids) · W. */
function lookupOf(node: Node): Pair | undefined {
	const [codes] = node.outputs;
	const [partner, ...others] = codes === undefined ? [] : readers(codes);
	const right = partner?.inputs[1];
	if (partner === undefined || others.length > 0 || right === undefined || !partner.is("MatMul")) return undefined;
	return { node, partner, right };
}

/** Gemm(Gemm(h, W), U), without anything added between. */
function projectionOf(node: Node): Pair | undefined {
	const [narrowed] = node.inputs;
	const partner = narrowed?.producer;
	const right = partner?.inputs[1];
	if (narrowed === undefined || partner === undefined || right === undefined || !partner.is("Gemm") || node.is("MatMul")) return undefined;
	const [, , added] = partner.inputs;
	if (readers(narrowed).length > 1 || (added !== undefined && !isZeroConstant(added))) return undefined;
	return { node, partner, right };
}

function gatherFrom(table: Value, { node, partner }: Pair): void {
	const [rows] = partner.outputs;
	if (rows === undefined) return;
	new Chain(node.graph, partner, rows.name).add("Gather", [table, node.inputs[1]], "rows", { defines: rows, attributes: { axis: int(0) } });
	removeUnused([partner]);
}

/** The product with U does the whole; what the one with W did besides, a factor and a transposed input, goes over to it. */
function multiplyBy(table: Value, { node, partner }: Pair): void {
	setInput(node, 0, partner.inputs[0]);
	setInput(node, 1, table);
	for (const name of ["alpha", "transA"]) {
		const held = partner.attributes.get(name);
		if (held !== undefined) setAttribute(node, name, held);
	}
	removeUnused([partner]);
}
