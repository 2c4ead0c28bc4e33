// Lookups in a coded table: they gather the bytes of the rows that they read, and decode these alone.
import { DistembError } from "../../src/errors.js";
import { int, ints } from "../../src/ir/attributes.js";
import { Chain } from "../../src/ir/build.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { nodeLabel } from "../../src/ir/walk.js";
import type { StoredCoding } from "./stored-coding.js";

/** U[ids]: the bytes of a row stand at start(block) + place · rowBytes(block); each number is values[kind · 256 + byte] · scale. */
export function lookUp(node: Node, stored: StoredCoding): void {
	const [, ids] = node.inputs;
	const [output] = node.outputs;
	if (ids === undefined || output === undefined) throw new DistembError("internal", `${nodeLabel(node)} is no lookup`);
	const chain = new Chain(node.graph, node, output.name);
	const along = { attributes: { axis: int(0) } };
	const place = placeOf(chain, ids, stored);
	const block = stored.isOneBlock ? undefined : blockOf(chain, place, stored);
	const ofBlock = (table: Value, label: string) => (block === undefined ? table : chain.add("Gather", [table, block], label, along));
	const rowBytes = stored.isOneBlock
		? chain.constant("int64", [stored.rowBytes], "row_bytes", [])
		: ofBlock(stored.stored("rowBytes"), "row_bytes");
	const rowStart = chain.add("Mul", [place, rowBytes], "row_offset");
	const start = block === undefined ? rowStart : chain.add("Add", [rowStart, ofBlock(stored.stored("starts"), "block_start")], "row_start");
	const address = chain.add("Add", [start, ofBlock(stored.table("bytes"), "column_bytes")], "address");
	const bytes = chain.cast(chain.add("Gather", [stored.stored("codes"), address], "bytes", along), "uint8", "int32", "bytes_wide");
	const entry = chain.add("Add", [bytes, ofBlock(stored.table("kinds"), "column_kinds")], "entry");
	const values = chain.add("Gather", [stored.wide("values"), entry], "values", along);
	const scales = chain.add("Gather", [stored.scales(), place], "scales", along);
	const decoded = chain.add("Mul", [values, scales], "decoded", {
		defines: stored.compute === "float32" ? output : undefined,
	});
	if (stored.compute !== "float32") chain.cast(decoded, "float32", stored.compute, "cast", output);
}

/** [.., 1]: the place of each id. Ids below 0 count from the end, as Gather has it. */
function placeOf(chain: Chain, ids: Value, stored: StoredCoding): Value {
	const own = () => {
		const { rows } = stored.group.group.vocabulary.table;
		const wide = ids.type?.dtype === "int64" ? ids : chain.cast(ids, ids.type?.dtype ?? "int32", "int64", "ids_wide");
		return chain.add("Mod", [wide, chain.constant("int64", [rows], "vocabulary", [])], "place");
	};
	const place = stored.isPermuted ? chain.add("Gather", [stored.places(), ids], "place", { attributes: { axis: int(0) } }) : own();
	if (chain.opset >= 13) return chain.add("Unsqueeze", [place, chain.constant("int64", [-1], "last_axis")], "place_column");
	return chain.add("Unsqueeze", [place], "place_column", { attributes: { axes: ints([-1]) } });
}

/** The block of each place, counted from the last: the number of ends that it lies before. */
function blockOf(chain: Chain, place: Value, stored: StoredCoding): Value {
	const before = chain.cast(chain.add("Less", [place, stored.stored("ends")], "before_end"), "bool", "float32", "before_ends");
	return chain.cast(chain.add("MatMul", [before, stored.stored("ones")], "block_number"), "float32", "int64", "block");
}
