// Stores the factors as asked: halves, bytes with a scale per row, or onnxruntime's blocks of bytes.
import { DistembError, throwIfAborted } from "../../src/errors.js";
import { codedBytes } from "../../src/linalg/coding.js";
import { factorError } from "../../src/linalg/error.js";
import type { Pass } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { FactorValue, Quantization, Quantized, Reconstructed } from "../../src/state.js";
import { type AskedStorage, looksUpAlone, type Operators, storageOf, storeOf } from "../../src/storage.js";
import { type CodedGroup, encodeCoded } from "./coded.js";
import { storeCoded } from "./coded-rewire.js";
import { codedTensors } from "./coded-tensors.js";
import { bytesOf, type EncodedGroup, encodeGroup } from "./encode.js";
import { storeFactor } from "./rewire.js";

export interface QuantizeOptions {
	/** How the factors are stored; as the table is, if undefined. */
	readonly dtype?: AskedStorage | undefined;
	/** `onnxruntime`: 8-bit factors as MatMulNBits and GatherBlockQuantized, on one tensor. */
	readonly ops: Operators;
	/** Fit the right factor of a coded group to the table once more; not after training. Default: true. */
	readonly refit?: boolean | undefined;
	/** Hand on the factors as a runtime reads them. Default: false. */
	readonly keepFactors?: boolean | undefined;
}

export const QUANTIZE_DEFAULTS = { ops: "standard" } as const satisfies QuantizeOptions;

/**
 * Rounds and stores the float32 factors that `reconstruct` computed.
 * int8 keeps W in the type in which it is multiplied: it is small, and its error would reach every token.
 * @throws DistembError `refused` if float16 cannot hold a factor; nothing is changed then.
 */
export function quantize(options: QuantizeOptions): Pass<Reconstructed, Quantized> {
	return {
		name: "quantize",
		run: async (state, context) => {
			const kept = (held: EncodedGroup | CodedGroup) => (options.keepFactors === true ? { left: held.left, right: held.right } : undefined);
			const plain = state.groups.filter(({ coding }) => coding === undefined);
			const encoded = plain.map((group) => {
				throwIfAborted(context.signal);
				return encodeGroup(group, storageOf(group.vocabulary.table.stored, options.dtype), options.ops);
			});
			const products = engineProducts({ threads: context.threads });
			const quantizations: Quantization[] = [];
			const coded: CodedGroup[] = [];
			try {
				for (const group of state.groups) {
					if (group.coding === undefined) continue;
					context.progress(coded.length / state.groups.length, group.vocabulary.name);
					const held = await encodeCoded(group, group.coding, { refit: options.refit ?? true, products, signal: context.signal });
					const relativeError = await errorOf(held, products, context.signal);
					const { rows, cols } = group.vocabulary.table;
					const permuted = group.coding.positions !== undefined;
					const bytes = codedBytes(held.layout, rows, cols, {
						permuted,
						lookups: looksUpAlone(group.vocabulary, group.side),
						right: group.coding.right,
					});
					const places = new Set(group.values.map(({ value, file }) => storeOf(file.name, value.tensor?.placement))).size;
					quantizations.push({
						group,
						dtype: "mixed",
						ops: held.layout.spacing === "equal" ? "onnxruntime" : "standard",
						bytes: bytes * places,
						relativeError,
						factors: kept(held),
					});
					context.log(codedLine(held, bytes * places, relativeError));
					coded.push(held);
				}
				for (const [index, held] of encoded.entries()) {
					context.progress((coded.length + index) / state.groups.length, held.group.vocabulary.name);
					const { group, storage } = held;
					const known = state.reconstructions.find((reconstruction) => reconstruction.group === group)?.relativeError;
					const relativeError = known !== undefined && !held.rounded ? known : await errorOf(held, products, context.signal);
					const bytes = storedBytes(group.values, held);
					quantizations.push({ group, dtype: storage, ops: options.ops, bytes, relativeError, factors: kept(held) });
					context.log(`${group.vocabulary.name}: factors as ${storage}, ${bytes} bytes, relative error ${relativeError.toPrecision(3)}`);
				}
			} finally {
				await products.close();
			}
			for (const held of encoded) for (const factor of held.group.values) storeFactor(factor, held);
			for (const held of coded) {
				const tensors = codedTensors(held);
				for (const factor of held.group.values) storeCoded(factor, held, tensors);
			}
			return { ...state, quantizations };
		},
		ensures: ({ quantizations }) => {
			for (const { group, dtype } of quantizations) {
				if (dtype === "mixed") continue;
				for (const { value, role } of group.values) {
					const stored = value.tensor?.dtype;
					const isRight = role === "right" || role === "rightT";
					const expected = dtype !== "int8" ? stored === dtype : isRight ? stored === group.dtype : stored === "int8" || stored === "uint8";
					if (!expected) throw new DistembError("internal", `factor "${value.name}" is stored as ${stored} instead of ${dtype}`);
				}
			}
		},
	};
}

/** Bytes of the factors in all files; those that several files share in one data file count once. */
function storedBytes(values: readonly FactorValue[], { factors }: EncodedGroup): number {
	const stored = new Map<string, number>();
	for (const { role, value, file } of values) {
		const factor = factors.get(role);
		const store = storeOf(file.name, value.tensor?.placement);
		if (factor !== undefined) stored.set(`${store}\0${role}`, bytesOf(factor));
	}
	return [...stored.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** How many columns have how many bits, block by block. */
function codedLine({ group, layout, coding }: CodedGroup, bytes: number, relativeError: number): string {
	const blocks = coding.blocks.map(({ rows, perByte }) => {
		const precisions = [...new Set(perByte)].filter((shared) => shared > 0).sort((a, b) => a - b);
		const columns = precisions.map((held) => `${perByte.filter((shared) => shared === held).length}×${(8 / held).toPrecision(2)}`);
		return `${rows} rows ${columns.join(" ")}`;
	});
	const average = (8 * layout.bytes) / (group.vocabulary.table.rows * group.vocabulary.table.cols);
	return `${group.vocabulary.name}: ${bytes} bytes, ${average.toPrecision(3)} bits a number, columns × bits: ${blocks.join("; ")}; relative error ${relativeError.toPrecision(3)}`;
}

async function errorOf(
	held: Pick<EncodedGroup, "left" | "right" | "group">,
	products: ReturnType<typeof engineProducts>,
	signal: AbortSignal | undefined,
): Promise<number> {
	const { left, right, group } = held;
	const { relative } = await factorError(group.vocabulary.table, { rank: group.rank, left, right }, products, { signal });
	return relative;
}
