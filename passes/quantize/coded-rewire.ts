// Stores a coded table and the nodes that read it: one Gather of bytes for lookups, products for projections.
import { importOpset, removeUnused } from "../../src/ir/edit.js";
import { readers } from "../../src/ir/walk.js";
import type { FactorValue } from "../../src/state.js";
import { computeType } from "../../src/storage.js";
import type { CodedGroup } from "./coded.js";
import { lookUp } from "./coded-lookup.js";
import { project } from "./coded-projection.js";
import type { CodedTensors } from "./coded-tensors.js";
import { put, storeFloats } from "./rewire.js";
import { StoredCoding } from "./stored-coding.js";

/** Stores one factor of one file. Readers are the Gathers, MatMuls and Gemms that `factorize` made. */
export function storeCoded({ value, role, file }: FactorValue, group: CodedGroup, tensors: CodedTensors): void {
	const uses = readers(value);
	if (role === "right" || role === "rightT") {
		storeFloats(value, tensors[role], uses, { compute: computeType(group.group.dtype) });
		return;
	}
	put(value, tensors.codes);
	const stored = new StoredCoding(value, tensors, group);
	for (const node of uses) {
		if (node.is("Gather")) lookUp(node, stored);
		else {
			project(node, stored);
			if (group.layout.spacing === "equal") importOpset(file.model, "com.microsoft", 1);
		}
	}
	removeUnused(uses);
}
