// A coded table in a graph: its tensors, and the parts of it that an engine decodes once, when it loads the model.
import { DistembError } from "../../src/errors.js";
import { int, ints } from "../../src/ir/attributes.js";
import { addConstant, Chain } from "../../src/ir/build.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { Tensor } from "../../src/ir/tensor.js";
import {
	type BlockLayout,
	type CodedLayout,
	type DecodedForm,
	decodedForm,
	HALF_BYTE,
	numbersInByte,
	SPACED_COLUMNS,
	startsOf,
} from "../../src/linalg/coding.js";
import { quantizerOf } from "../../src/linalg/levels.js";
import { BYTE_VALUES, valueCount } from "../../src/linalg/precision.js";
import { computeType } from "../../src/storage.js";
import type { CodedGroup } from "./coded.js";
import type { CodedTensors } from "./coded-tensors.js";
import type { CodesForm } from "./rewire.js";

/** What a place that is no stored tensor in this file needs, made once. */
export class StoredCoding {
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

	/** In what form projections read it. */
	get form(): DecodedForm {
		return decodedForm(this.layout, this.group.group.vocabulary.table.cols, this.isPermuted);
	}

	get isPermuted(): boolean {
		return this.tensors.numbers !== undefined;
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

	stored(key: Exclude<keyof CodedTensors, "right" | "rightT" | "rightScales">): Value {
		if (key === "codes") return this.value;
		return this.once(key, () => {
			const contents = this.tensors[key];
			if (contents === undefined) throw new DistembError("internal", `"${this.value.name}" has no ${key}`);
			const { dtype, dims, data } = contents;
			return addConstant(this.value.graph, `${this.value.name}.${key}`, new Tensor(dtype, dims, data, this.value.tensor?.placement));
		});
	}

	/** What bytes stand for, or scales: in float32, whatever an engine can multiply. */
	wide(key: "values" | "grid"): Value {
		return this.once(`${key} wide`, (chain) => chain.cast(this.stored(key), "float16", "float32", `${key}_wide`));
	}

	/** float32 [V]: the scale of each place. */
	scales(): Value {
		return this.once("all scales", (chain) => {
			const numbers = chain.cast(this.stored("scales"), "uint8", "int32", "scale_numbers");
			return chain.add("Gather", [this.wide("grid"), numbers], "scales_by_place", { attributes: { axis: int(0) } });
		});
	}

	/** Bytes as int64, kinds times 256 as int32: [blocks, r], or [r] if there is but one block. */
	table(key: "bytes" | "kinds"): Value {
		return this.once(`${key} wide`, (chain) => {
			const wide =
				key === "bytes"
					? chain.cast(this.stored(key), "uint16", "int64", "bytes_wide")
					: chain.cast(this.stored(key), "uint8", "int32", "kinds_wide");
			const scaled =
				key === "bytes" ? wide : chain.add("Mul", [wide, chain.constant("int32", [BYTE_VALUES], "byte_values")], "kinds_start");
			if (!this.isOneBlock) return scaled;
			return chain.add("Reshape", [scaled, chain.constant("int64", [this.layout.rank], "columns")], `${key}_row`);
		});
	}

	/** The rows of a block of U, [rows, its rank], or transposed. */
	decoded(index: number, isTransposed: boolean): Value {
		const rows = this.once(`rows ${index}`, (chain) => this.decodeBlock(chain, index, this.blockAt(index).rank));
		return isTransposed ? this.transposed(rows, `block_${index}_T`) : rows;
	}

	/** All rows of U, [V, r], in the order of the ids, or transposed. */
	decodedWhole(isTransposed: boolean): Value {
		const rows = this.once("whole", (chain) => {
			const along = { attributes: { axis: int(0) } };
			const blocks = this.layout.blocks.map((_, index) => this.decodeBlock(chain, index, this.layout.rank));
			const [first] = blocks;
			const byPlace = blocks.length === 1 && first !== undefined ? first : chain.add("Concat", blocks, "rows_by_place", along);
			return this.isPermuted ? chain.add("Gather", [byPlace, this.places()], "rows_by_id", along) : byPlace;
		});
		return isTransposed ? this.transposed(rows, "rows_T") : rows;
	}

	/** U·W, [V, d]. */
	decodedTable(right: Value): Value {
		return this.once("table", (chain) => chain.add("MatMul", [this.decodedWhole(false), right], "table"));
	}

	private transposed(matrix: Value, label: string): Value {
		return this.once(label, (chain) => chain.add("Transpose", [matrix], label, { attributes: { perm: ints([1, 0]) } }));
	}

	/** The first `rank` columns of a block; those that it has dropped are zero. */
	private decodeBlock(chain: Chain, index: number, rank: number): Value {
		const label = (what: string) => `block_${index}_${what}`;
		const columnsOf = (key: "bytes" | "kinds") => {
			if (this.isOneBlock) return this.table(key);
			const row = chain.constant("int64", [this.layout.blocks.length - 1 - index], label(`${key}_row`), []);
			const all = chain.add("Gather", [this.table(key), row], label(`all_${key}`), { attributes: { axis: int(0) } });
			return rank === this.layout.rank ? all : this.part(chain, all, 0, rank, label(key));
		};
		const bytes = chain.add("Gather", [this.bytesOf(index), columnsOf("bytes")], label("column_bytes"), { attributes: { axis: int(1) } });
		const entries = chain.add("Add", [chain.cast(bytes, "uint8", "int32", label("wide")), columnsOf("kinds")], label("entries"));
		const values = chain.add("Gather", [this.wide("values"), entries], label("values"), { attributes: { axis: int(0) } });
		const product = chain.add("Mul", [values, this.scalesOf(index)], label("decoded"));
		return chain.cast(product, "float32", this.compute, label("cast"));
	}

	/** The codes and scales of the columns of one precision in a block, as MatMulNBits reads them; `kind`: the first of that precision. */
	multiplied(index: number, kind: number, columns: number): { codes: Value; scales: Value; form: CodesForm } {
		const block = this.blockAt(index);
		const { perByte = 1 } = this.layout.kinds[kind] ?? {};
		const bits = 8 / perByte;
		const blocks = Math.ceil(columns / SPACED_COLUMNS);
		const width = (blocks * SPACED_COLUMNS * bits) / 8;
		const first = block.byteOf[block.kindOf.indexOf(kind)] ?? 0;
		const form = { rows: block.rows, columns, bits, size: SPACED_COLUMNS };
		const codes = this.once(`codes ${index} ${kind}`, (chain) => {
			const label = (what: string) => `block_${index}_${bits}_bits_${what}`;
			const numbers = (values: readonly number[], what: string) => chain.constant("int64", values, label(what));
			const matrix = this.bytesOf(index);
			const bounds = () => [numbers([first], "from"), numbers([first + width], "to"), numbers([1], "axis")];
			const part = width === block.rowBytes ? matrix : chain.add("Slice", [matrix, ...bounds()], label("bytes"));
			return chain.add("Reshape", [part, numbers([block.rows, blocks, width / blocks], "shape")], label("codes"));
		});
		const scales = this.once(`scales ${index} ${kind}`, (chain) => {
			const label = `block_${index}_${bits}_bits_scales`;
			const { values } = quantizerOf(valueCount(perByte), "equal");
			const step = (values[1] ?? 0) - (values[0] ?? 0);
			// In float32: an engine without float16 products would not compute them once, and its operator misreads scales that are not constant.
			const steps = chain.constant(
				"float32",
				Array.from({ length: blocks }, () => step),
				`${label}_steps`,
				[1, blocks],
			);
			return chain.cast(chain.add("Mul", [this.scalesOf(index), steps], label), "float32", this.compute, `${label}_cast`);
		});
		return { codes, scales, form };
	}

	/** uint8 [rows, bytes of a row]: the codes of a block. */
	private bytesOf(index: number): Value {
		return this.once(`bytes ${index}`, (chain) => {
			const { rows, rowBytes, start } = this.blockAt(index);
			const flat = this.part(chain, this.stored("codes"), start, start + rows * rowBytes, `block_${index}_codes`);
			return chain.add("Reshape", [flat, chain.constant("int64", [rows, rowBytes], `block_${index}_shape`)], `block_${index}_bytes_matrix`);
		});
	}

	/** float32 [rows, 1]: the scales of a block. */
	private scalesOf(index: number): Value {
		return this.once(`scales ${index}`, (chain) => {
			const { rows, first } = this.blockAt(index);
			const label = `block_${index}_scales`;
			const list = this.part(chain, this.scales(), first, first + rows, label);
			return chain.add("Reshape", [list, chain.constant("int64", [rows, 1], `${label}_shape`)], `block_${index}_scale_column`);
		});
	}

	private part(chain: Chain, value: Value, from: number, to: number, label: string): Value {
		if (this.isOneBlock) return value;
		const bounds = [chain.constant("int64", [from], `${label}_from`), chain.constant("int64", [to], `${label}_to`)];
		return chain.add("Slice", [value, ...bounds], label);
	}

	private blockAt(index: number): BlockLayout {
		const block = this.layout.blocks[index];
		if (block === undefined) throw new DistembError("internal", `there is no block ${index}`);
		return block;
	}

	/** int64 [V]: place of each id, which follows all rows of earlier blocks, and those of its own with smaller ids. */
	places(): Value {
		return this.once("places", (chain) => {
			const { blocks } = this.layout;
			const column = (values: readonly number[], label: string) => chain.constant("int64", values, label, [values.length, 1]);
			const numbers = this.blockNumbers(chain);
			const each = column([...blocks.keys()], "each_block");
			const members = chain.cast(chain.add("Equal", [numbers, each], "is_member"), "bool", "int64", "members");
			const counted = chain.add("CumSum", [members, chain.constant("int64", [1], "along_rows", [])], "members_so_far");
			const before = column(
				startsOf(blocks).map((start) => start - 1),
				"before_blocks",
			);
			const inOwn = chain.add("Mul", [chain.add("Add", [counted, before], "places_in_blocks"), members], "places_in_own_block");
			return this.sumOverBlocks(chain, inOwn);
		});
	}

	/** int64 [V]: the block of each id. */
	private blockNumbers(chain: Chain): Value {
		const { rows } = this.group.group.vocabulary.table;
		const packed = chain.cast(this.stored("numbers"), "uint8", "int64", "block_numbers");
		if (numbersInByte(this.layout.blocks.length) === 1) return packed;
		const half = chain.constant("int64", [HALF_BYTE], "half_byte");
		const halves = [chain.add("Mod", [packed, half], "first_numbers"), chain.add("Div", [packed, half], "second_numbers")];
		const all = chain.add("Concat", halves, "all_numbers", { attributes: { axis: int(0) } });
		return rows % 2 === 0 ? all : this.part(chain, all, 0, rows, "numbers_of_ids");
	}

	/** int64: the sums of columns, [blocks, V] → [V]. */
	private sumOverBlocks(chain: Chain, matrix: Value): Value {
		if (chain.opset < 13) return chain.add("ReduceSum", [matrix], "places", { attributes: { axes: ints([0]), keepdims: int(0) } });
		return chain.add("ReduceSum", [matrix, chain.constant("int64", [0], "over_blocks")], "places", { attributes: { keepdims: int(0) } });
	}
}
