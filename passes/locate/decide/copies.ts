// Stored copies of a table: those that are read, and those that nobody reads.
import { isFloat } from "../../../src/ir/dtype.js";
import type { Value } from "../../../src/ir/graph.js";
import type { StoredCopy } from "../../../src/state.js";
import { matrixOf } from "../matrix/aliases.js";
import { sameContent } from "../matrix/content.js";
import { type Matrix, tensorsOf, transpose } from "../matrix/matrix.js";
import { MatrixTable } from "../matrix/table.js";
import type { Entry, Survey } from "../survey.js";

/** One copy per stored tensor that `entries` read. */
export function storedCopies(entries: readonly Entry[]): StoredCopy[] {
	const copies = new Map<Value, StoredCopy>();
	for (const { file, table } of entries) {
		const { stored } = table.matrix;
		if (!copies.has(stored)) copies.set(stored, copyOf(table.matrix, file, false));
	}
	return [...copies.values()];
}

/** Constants with the contents of `table`, or of its transpose, that no node and no output reads. */
export function unusedCopies(table: MatrixTable, entries: readonly Entry[], surveys: readonly Survey[]): StoredCopy[] {
	const known = new Set(entries.map((entry) => entry.table.matrix.stored));
	const copies: StoredCopy[] = [];
	for (const { file, facts } of surveys) {
		for (const value of facts.stored) {
			if (known.has(value) || value.uses.size > 0) continue;
			if (file.model.irVersion >= 4 && value.graph.inputs.includes(value)) continue;
			const matrix = matrixOf(facts.view(value));
			if (matrix === undefined || !isFloat(matrix.dtype)) continue;
			const found = [matrix, transpose(matrix)].find((form) => sameContent(new MatrixTable(form), table));
			if (found !== undefined) copies.push(copyOf(found, file, true));
		}
	}
	return copies;
}

function copyOf(matrix: Matrix, file: StoredCopy["file"], unused: boolean): StoredCopy {
	const tensors = tensorsOf(matrix);
	const bytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
	return { file, value: matrix.stored, tensors, orientation: matrix.transposed ? "DxV" : "VxD", bytes, unused };
}
