// Stores a coded table and the nodes that read it: one Gather of bytes for lookups, one Gemm per block for projections.
import { DistembError } from "../../src/errors.js";
import { int, ints } from "../../src/ir/attributes.js";
import { addConstant, Chain } from "../../src/ir/build.js";
import type { DType } from "../../src/ir/dtype.js";
import { removeUnused } from "../../src/ir/edit.js";
import { writeElements } from "../../src/ir/elements.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { dataOf, Tensor } from "../../src/ir/tensor.js";
import { nodeLabel, readers } from "../../src/ir/walk.js";
import { type BlockLayout, BYTE_VALUES, type CodedLayout, positionType } from "../../src/linalg/coding.js";
import type { FactorValue } from "../../src/state.js";
import { computeType } from "../../src/storage.js";
import type { CodedGroup } from "./coded.js";
import { type Contents, contentsOf } from "./encode.js";
import { isZeroConstant, put, type Step, stepsAfter, storeFloats } from "./rewire.js";

/** The tensors of a coded table; every file of the model refers to the same contents. */
export interface CodedTensors {
	/** Codes, uint8 [all bytes]. */
	readonly codes: Contents;
	/** float16 [V], by place. */
	readonly scales: Contents;
	/** float16 [kinds · 256]. */
	readonly values: Contents;
	/** W, float16: r×d and d×r. */
	readonly right: Contents;
	readonly rightT: Contents;
	/** Place of each id, [V, 1]; undefined: ids are places. */
	readonly positions: Contents | undefined;
	/** uint16 and uint8 [blocks, r]: byte and kind of each column. */
	readonly bytes: Contents;
	readonly kinds: Contents;
	/** int64 [blocks, 1]: bytes of a row, and where the row of place 0 would begin; int64 and float32 [blocks − 1]: ends of blocks, ones. */
	readonly rowBytes: Contents;
	readonly starts: Contents;
	readonly ends: Contents;
	readonly ones: Contents;
}

function integers(dtype: DType, values: readonly number[], dims: readonly number[]): Contents {
	return { dtype, dims, data: dataOf(writeElements(dtype, values)) };
}

/** Blocks are counted from the last: the number of ends that a place lies before is then its block. */
export function codedTensors({ group, coding, layout, codes, scales, values, factor }: CodedGroup): CodedTensors {
	const { rows, cols } = group.vocabulary.table;
	const { rank } = group;
	const reversed = [...layout.blocks].reverse();
	const count = reversed.length;
	const positions = coding.positions;
	const transposedFactor = new Uint16Array(factor.length);
	for (let k = 0; k < rank; k++) for (let j = 0; j < cols; j++) transposedFactor[j * rank + k] = factor[k * cols + j] ?? 0;
	return {
		codes: { dtype: "uint8", dims: [codes.length], data: contentsOf(codes) },
		scales: { dtype: "float16", dims: [rows], data: contentsOf(scales) },
		values: { dtype: "float16", dims: [values.length], data: contentsOf(values) },
		right: { dtype: "float16", dims: [rank, cols], data: contentsOf(factor) },
		rightT: { dtype: "float16", dims: [cols, rank], data: contentsOf(transposedFactor) },
		positions: positions === undefined ? undefined : integers(positionType(rows), [...positions], [rows, 1]),
		bytes: integers(
			"uint16",
			reversed.flatMap(({ byteOf }) => [...byteOf]),
			[count, rank],
		),
		kinds: integers(
			"uint8",
			reversed.flatMap(({ kindOf }) => [...kindOf]),
			[count, rank],
		),
		rowBytes: integers(
			"int64",
			reversed.map(({ rowBytes }) => rowBytes),
			[count, 1],
		),
		starts: integers(
			"int64",
			reversed.map(({ start, first, rowBytes }) => start - first * rowBytes),
			[count, 1],
		),
		ends: integers(
			"int64",
			layout.blocks.slice(0, -1).map(({ first, rows: held }) => first + held),
			[count - 1],
		),
		ones: integers(
			"float32",
			layout.blocks.slice(1).map(() => 1),
			[count - 1],
		),
	};
}

/** What a place that is no stored tensor in this file needs, made once. */
class StoredCoding {
	private readonly made = new Map<string, Value>();
	private readonly first: Node | undefined;
	readonly layout: CodedLayout;

	constructor(
		/** The value that held U; it now holds the codes. */
		private readonly value: Value,
		private readonly tensors: CodedTensors,
		readonly group: CodedGroup,
	) {
		this.layout = group.layout;
		this.first = value.graph.nodes[0];
	}

	get compute(): "float32" | "float16" {
		return computeType(this.group.group.dtype);
	}

	get isOneBlock(): boolean {
		return this.layout.blocks.length === 1;
	}

	/** Bytes of a row, if there is but one block. */
	get rowBytes(): number {
		return this.layout.blocks[0]?.rowBytes ?? 0;
	}

	get isPermuted(): boolean {
		return this.tensors.positions !== undefined;
	}

	/** Nodes that depend on nothing but constants: an engine computes them once, when it loads the model. */
	chain(): Chain {
		return new Chain(this.value.graph, this.first, this.value.name);
	}

	once(key: string, make: (chain: Chain) => Value): Value {
		const held = this.made.get(key) ?? make(this.chain());
		this.made.set(key, held);
		return held;
	}

	stored(key: Exclude<keyof CodedTensors, "right" | "rightT">): Value {
		if (key === "codes") return this.value;
		return this.once(key, () => {
			const contents = this.tensors[key];
			if (contents === undefined) throw new DistembError("internal", `"${this.value.name}" has no ${key}`);
			const { dtype, dims, data } = contents;
			return addConstant(this.value.graph, `${this.value.name}.${key}`, new Tensor(dtype, dims, data, this.value.tensor?.placement));
		});
	}

	/** int64 [blocks, r], or [r] if there is but one block. */
	table(key: "bytes" | "kinds"): Value {
		return this.once(`${key} wide`, (chain) => {
			const wide = chain.cast(this.stored(key), key === "bytes" ? "uint16" : "uint8", "int64", `${key}_wide`);
			const scaled =
				key === "bytes" ? wide : chain.add("Mul", [wide, chain.constant("int64", [BYTE_VALUES], "byte_values")], "kinds_start");
			if (!this.isOneBlock) return scaled;
			return chain.add("Reshape", [scaled, chain.constant("int64", [this.layout.rank], "columns")], `${key}_row`);
		});
	}

	/** The rows of a block of U, [rows, its rank], or transposed. */
	decoded(index: number, isTransposed: boolean): Value {
		const block = this.layout.blocks[index];
		if (block === undefined) throw new DistembError("internal", `there is no block ${index}`);
		const rows = this.once(`rows ${index}`, (chain) => this.decodeBlock(chain, block, index));
		if (!isTransposed) return rows;
		return this.once(`columns ${index}`, (chain) =>
			chain.add("Transpose", [rows], `block_${index}_T`, { attributes: { perm: ints([1, 0]) } }),
		);
	}

	private decodeBlock(chain: Chain, { first, rows, rank, rowBytes, start }: BlockLayout, index: number): Value {
		const label = (what: string) => `block_${index}_${what}`;
		const numbers = (values: readonly number[], what: string) => chain.constant("int64", values, label(what));
		const part = (value: Value, from: number, to: number, what: string) =>
			this.isOneBlock ? value : chain.add("Slice", [value, numbers([from], `${what}_from`), numbers([to], `${what}_to`)], label(what));
		const columnsOf = (key: "bytes" | "kinds") => {
			if (this.isOneBlock) return this.table(key);
			const row = chain.constant("int64", [this.layout.blocks.length - 1 - index], label(`${key}_row`), []);
			const all = chain.add("Gather", [this.table(key), row], label(`all_${key}`), { attributes: { axis: int(0) } });
			return rank === this.layout.rank ? all : part(all, 0, rank, key);
		};
		const flat = part(this.stored("codes"), start, start + rows * rowBytes, "codes");
		const matrix = chain.add("Reshape", [flat, numbers([rows, rowBytes], "shape")], label("bytes_matrix"));
		const bytes = chain.add("Gather", [matrix, columnsOf("bytes")], label("column_bytes"), { attributes: { axis: int(1) } });
		const entries = chain.add("Add", [chain.cast(bytes, "uint8", "int64", label("wide")), columnsOf("kinds")], label("entries"));
		const values = chain.add("Gather", [this.stored("values"), entries], label("values"), { attributes: { axis: int(0) } });
		const scales = chain.add(
			"Reshape",
			[part(this.stored("scales"), first, first + rows, "scales"), numbers([rows, 1], "scales_shape")],
			label("scale_column"),
		);
		const product = chain.add(
			"Mul",
			[chain.cast(values, "float16", "float32", label("values_wide")), chain.cast(scales, "float16", "float32", label("scales_wide"))],
			label("decoded"),
		);
		return chain.cast(product, "float32", this.compute, label("cast"));
	}

	/** int64 [V]: place of each id. */
	places(): Value {
		return this.once("places", (chain) => {
			const wide = chain.cast(this.stored("positions"), positionType(this.group.group.vocabulary.table.rows), "int64", "places_wide");
			return chain.add("Reshape", [wide, chain.constant("int64", [-1], "places_shape")], "places");
		});
	}
}

/** Stores one factor of one file. Readers are the Gathers, MatMuls and Gemms that `factorize` made. */
export function storeCoded({ value, role }: FactorValue, group: CodedGroup, tensors: CodedTensors): void {
	const uses = readers(value);
	if (role === "right" || role === "rightT") {
		storeFloats(value, tensors[role], uses, { compute: computeType(group.group.dtype) });
		return;
	}
	put(value, tensors.codes);
	const stored = new StoredCoding(value, tensors, group);
	for (const node of uses) {
		if (node.is("Gather")) lookUp(node, stored);
		else project(node, stored);
	}
	removeUnused(uses);
}

// --- lookups -----------------------------------------------------------------

/** U[ids]: the bytes of a row stand at start(block) + place · rowBytes(block); each number is values[kind · 256 + byte] · scale. */
function lookUp(node: Node, stored: StoredCoding): void {
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
	const bytes = chain.cast(chain.add("Gather", [stored.stored("codes"), address], "bytes", along), "uint8", "int64", "bytes_wide");
	const entry = chain.add("Add", [bytes, ofBlock(stored.table("kinds"), "column_kinds")], "entry");
	const values = chain.add("Gather", [stored.stored("values"), entry], "values", along);
	const scales = chain.add("Gather", [stored.stored("scales"), place], "scales", along);
	const wide = chain.cast(values, "float16", "float32", "values_wide");
	const decoded = chain.add("Mul", [wide, chain.cast(scales, "float16", "float32", "scales_wide")], "decoded", {
		defines: stored.compute === "float32" ? output : undefined,
	});
	if (stored.compute !== "float32") chain.cast(decoded, "float32", stored.compute, "cast", output);
}

/** [.., 1]: the place of each id. Ids below 0 count from the end, as Gather has it. */
function placeOf(chain: Chain, ids: Value, stored: StoredCoding): Value {
	const { rows } = stored.group.group.vocabulary.table;
	if (stored.isPermuted) {
		const place = chain.add("Gather", [stored.stored("positions"), ids], "place", { attributes: { axis: int(0) } });
		return chain.cast(place, positionType(rows), "int64", "place_wide");
	}
	const wide = ids.type?.dtype === "int64" ? ids : chain.cast(ids, ids.type?.dtype ?? "int32", "int64", "ids_wide");
	const place = chain.add("Mod", [wide, chain.constant("int64", [rows], "vocabulary", [])], "place");
	if (chain.opset >= 13) return chain.add("Unsqueeze", [place, chain.constant("int64", [-1], "last_axis")], "place_column");
	return chain.add("Unsqueeze", [place], "place_column", { attributes: { axes: ints([-1]) } });
}

/** The block of each place, counted from the last: the number of ends that it lies before. */
function blockOf(chain: Chain, place: Value, stored: StoredCoding): Value {
	const before = chain.cast(chain.add("Less", [place, stored.stored("ends")], "before_end"), "bool", "float32", "before_ends");
	return chain.cast(chain.add("MatMul", [before, stored.stored("ones")], "block_number"), "float32", "int64", "block");
}

// --- projections -------------------------------------------------------------

/** h·Uᵀ: a product for each block, put together, in the order of the ids. */
function project(node: Node, stored: StoredCoding): void {
	const [hidden, , c] = node.inputs;
	const [output] = node.outputs;
	if (hidden === undefined || output === undefined) throw new DistembError("internal", `${nodeLabel(node)} is no projection`);
	const chain = new Chain(node.graph, node, output.name);
	const isMatMul = node.is("MatMul");
	const steps: Step[] = [];
	const { blocks } = stored.layout;
	const lastAxis = { attributes: { axis: int(-1) } };
	const parts = blocks.map((block, index): Step => {
		const columns = block.rank === stored.layout.rank ? hidden : firstColumns(chain, hidden, block.rank);
		if (isMatMul) return (_, defines) => chain.add("MatMul", [columns, stored.decoded(index, true)], "scores", { defines });
		return (_, defines) =>
			chain.add("Gemm", [columns, stored.decoded(index, false)], "scores", { attributes: { transB: int(1) }, defines });
	});
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
	steps.push(...stepsAfter(node, c === undefined || isZeroConstant(c) ? undefined : c, chain));
	let result = hidden;
	for (const [index, step] of steps.entries()) result = step(result, index === steps.length - 1 ? output : undefined);
}

function firstColumns(chain: Chain, matrix: Value, count: number): Value {
	const bound = (value: number, label: string) => chain.constant("int64", [value], label);
	return chain.add("Slice", [matrix, bound(0, "first"), bound(count, "columns"), bound(-1, "last_axis")], "columns");
}
