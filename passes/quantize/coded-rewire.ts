// Stores a coded table and the nodes that read it: Gathers for lookups, products for projections.
import { importOpset, removeUnused, setInput } from "../../src/ir/edit.js";
import type { Node } from "../../src/ir/graph.js";
import { readers } from "../../src/ir/walk.js";
import type { FactorValue } from "../../src/state.js";
import { computeType } from "../../src/storage.js";
import type { CodedGroup } from "./coded.js";
import { lookUp } from "./coded-lookup.js";
import { project } from "./coded-projection.js";
import { readTable } from "./coded-table.js";
import type { CodedTensors } from "./coded-tensors.js";
import { put, storeFloats, storeScaled } from "./rewire.js";
import { StoredCoding } from "./stored-coding.js";

/** Stores one factor of one file. Readers are the Gathers, MatMuls and Gemms that `factorize` made. */
export function storeCoded({ value, role, file }: FactorValue, group: CodedGroup, tensors: CodedTensors): void {
	const uses = readers(value);
	if (role === "right" || role === "rightT") {
		const compute = { compute: computeType(group.group.dtype) };
		const { [role]: main, rightScales: scales } = tensors;
		if (scales === undefined) storeFloats(value, main, uses, compute);
		else storeScaled(value, { main, scales }, role === "rightT", uses, compute);
		return;
	}
	put(value, tensors.codes);
	const stored = new StoredCoding(value, tensors, group);
	if (stored.form === "table" && readTable(uses, stored)) return;
	const rowsAreDecoded = uses.some((node) => decodesRows(node, stored));
	const replaced = uses.filter((node) => !(node.is("Gather") && rowsAreDecoded));
	for (const node of uses) {
		if (!replaced.includes(node)) setInput(node, 0, stored.decodedWhole(false));
		else if (node.is("Gather")) lookUp(node, stored);
		else {
			project(node, stored);
			if (group.layout.spacing === "equal") importOpset(file.model, "com.microsoft", 1);
		}
	}
	removeUnused(replaced);
}

/** Whether a projection has the engine decode all rows as they are: then lookups may read them too. */
function decodesRows(node: Node, { form }: StoredCoding): boolean {
	return !node.is("Gather") && !node.is("MatMul") && form !== "blocks";
}
