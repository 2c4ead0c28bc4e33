// Parts of distillation that need no engine: shapes of batches, balance, shared weights, rows drawn, values written back.
import { describe, expect, it } from "vitest";
import { balance } from "../../passes/distill/balance.js";
import { metricOf } from "../../passes/distill/metric.js";
import { rowSource, wholeTable } from "../../passes/distill/rows.js";
import { inParts, MOST_ACTIVATIONS, MOST_OF_ALL, sizesOf } from "../../passes/distill/shapes.js";
import { sharingOf } from "../../passes/distill/sharing.js";
import { zeroRows } from "../../passes/distill/tables.js";
import { extentOf } from "../../passes/distill/validation.js";
import { writeBack } from "../../passes/distill/write.js";
import { addInitializer, createModel } from "../../src/ir/edit.js";
import type { Value } from "../../src/ir/graph.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { objectiveOf, termsOf } from "../../src/linalg/objective.js";
import type { FactorGroup, FactorValue, ModelFile, Vocabulary } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import type { WholeModel } from "../../src/training/whole.js";
import { fileOf, tableOf } from "./support.js";

const corpusOf = (context: number | undefined) => ({ special: { pad: 0, start: 0, mask: undefined, context } }) as Corpus;
const wholeOf = (kind: WholeModel["kind"], fixed: Partial<WholeModel["fixed"]> = {}) =>
	({ kind, fixed: { batch: undefined, length: undefined, source: undefined, ...fixed } }) as WholeModel;
const options = { corpus: undefined, method: "distemb" } as const;

describe("sizesOf", () => {
	it("stays_within_the_context_and_what_the_graph_fixes", () => {
		expect(sizesOf(wholeOf("causal"), corpusOf(64), { ...options, length: 100 })).toEqual({ shapes: [{ batch: 8, length: 64 }], parts: 1 });
		expect(sizesOf(wholeOf("causal", { batch: 1, length: 12 }), corpusOf(undefined), { ...options, batch: 6 })).toEqual({
			shapes: [{ batch: 1, length: 12 }],
			parts: 6,
		});
	});

	it("gives_translators_several_lengths_up_to_the_longest_with_about_as_many_tokens", () => {
		const { shapes } = sizesOf(wholeOf("translator"), corpusOf(undefined), { ...options, batch: 8, length: 40 });
		expect(shapes).toEqual([
			{ batch: 16, length: 12 },
			{ batch: 10, length: 20 },
			{ batch: 7, length: 28 },
			{ batch: 5, length: 40 },
		]);
	});

	it("takes_a_step_in_parts_when_memory_does_not_hold_it", () => {
		const sizes = { shapes: [{ batch: 8, length: 16 }], parts: 1 };
		expect(inParts(sizes, MOST_ACTIVATIONS)).toEqual(sizes);
		expect(inParts(sizes, 3.5 * MOST_ACTIVATIONS)).toEqual({ shapes: [{ batch: 2, length: 16 }], parts: 4 });
	});

	it("trains_at_fewer_lengths_when_memory_does_not_hold_the_activations_of_all", () => {
		const lengths = (bytes: number) => {
			const shapes = [12, 20, 28, 40, 64].map((length) => ({ batch: 8, length }));
			const sizes = inParts({ shapes, parts: 1 }, bytes);
			return [sizes.parts, ...sizes.shapes.map(({ length }) => length)];
		};
		expect(lengths(MOST_OF_ALL / 5)).toEqual([1, 12, 20, 28, 40, 64]);
		expect(lengths(MOST_OF_ALL / 4.5)).toEqual([1, 12, 28, 64]);
		expect(lengths(MOST_ACTIVATIONS)).toEqual([1, 12, 28, 64]);
		// In two parts: half of the activations, as many shapes as before.
		expect(lengths(2 * MOST_ACTIVATIONS)).toEqual([2, 12, 28, 64]);
	});
});

/** U·W of a group with rank 2: U 3×2, W 2×2, as plain or turned arrays. */
const U = [1, 2, 3, 4, 5, 6];
const W = [0.5, 0.25, 8, 4];
const turn = (matrix: readonly number[], rows: number, cols: number) =>
	Array.from({ length: rows * cols }, (_, at) => matrix[(at % rows) * cols + Math.floor(at / rows)] ?? Number.NaN);

function stored(name: string, values: readonly number[], dims: readonly number[], file = fileOf(createModel(10, [["", 18]]))) {
	return { file, value: addInitializer(file.model.graph, name, float32Tensor(Float32Array.from(values), dims)) };
}

const floats = ({ tensor }: Value) => [...new Float32Array(tensor?.bytes().slice().buffer ?? new ArrayBuffer(0))];

function factorOf(role: FactorValue["role"], values: readonly number[], dims: readonly number[]) {
	const { file, value } = stored(role, values, dims);
	const factor = role.startsWith("left") ? ("left" as const) : ("right" as const);
	return { group: {} as FactorGroup, factor, stored: { file, value, role }, value, dims, initial: Float32Array.from(values) };
}

describe("balance", () => {
	it.each([
		["left", U, [3, 2], "right", W, [2, 2]],
		["leftT", turn(U, 3, 2), [2, 3], "rightT", turn(W, 2, 2), [2, 2]],
	] as const)("gives_columns_of_%s_and_rows_of_W_one_size_and_keeps_the_product", (leftRole, u, uDims, rightRole, w, wDims) => {
		const [left, right] = [factorOf(leftRole, u, uDims), factorOf(rightRole, w, wDims)];
		balance(left, right, 2);
		const [a, b] = [
			leftRole === "left" ? [...left.initial] : turn([...left.initial], 2, 3),
			rightRole === "right" ? [...right.initial] : turn([...right.initial], 2, 2),
		];
		for (let k = 0; k < 2; k++) {
			const norm = (values: number[]) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
			expect(norm([a[k] ?? 0, a[2 + k] ?? 0, a[4 + k] ?? 0])).toBeCloseTo(norm(b.slice(2 * k, 2 * k + 2)), 5);
		}
		const product = (x: readonly number[], y: readonly number[]) =>
			[0, 1, 2].flatMap((row) =>
				[0, 1].map((column) => (x[2 * row] ?? 0) * (y[column] ?? 0) + (x[2 * row + 1] ?? 0) * (y[2 + column] ?? 0)),
			);
		for (const [at, element] of product(a, b).entries()) expect(element).toBeCloseTo(product(U, W)[at] ?? 0, 4);
		expect(a[0]).not.toBeCloseTo(1, 2);
	});
});

describe("writeBack", () => {
	it("stores_a_factor_as_it_is_and_turned_and_folds_the_relu", () => {
		const file = fileOf(createModel(10, [["", 18]]));
		const values = (["left", "leftT"] as const).map((role) => ({ role, ...stored(role, U, role === "left" ? [3, 2] : [2, 3], file) }));
		const vocabulary = { table: tableOf(new Float32Array(6), 3, 2) } as Vocabulary;
		const group = { vocabulary, rank: 2, values, side: "both", coding: undefined, dtype: "float32" } as FactorGroup;
		const [first] = values;
		if (first === undefined) throw new Error("no factor");
		const factor = { group, factor: "left" as const, stored: first, value: first.value, dims: [3, 2], initial: new Float32Array(6) };
		const parameter = { ...factor, rate: 1, decays: true, stored: factor };
		const sharing = sharingOf([file], []);
		writeBack(parameter, Float32Array.of(1, -2, 3, -4, 5, 6), sharing, true);
		expect(values.map(({ value }) => floats(value))).toEqual([
			[1, 0, 3, 0, 5, 6],
			[1, 3, 5, 0, 0, 6],
		]);
	});
});

describe("sharingOf", () => {
	function modelFile(name: string, weights: Readonly<Record<string, readonly number[]>>): ModelFile {
		const file = fileOf(createModel(10, [["", 18]]), name);
		for (const [key, values] of Object.entries(weights)) stored(key, values, [values.length], file);
		return file;
	}
	const valueIn = ({ model }: ModelFile, name: string) => model.graph.initializers.find((value) => value.name === name) as Value;

	it("pairs_equal_contents_under_one_name_or_that_nothing_else_has", () => {
		const own = modelFile("decoder.onnx", { ones: [1, 1], alsoOnes: [1, 1], weight: [3, 4] });
		const other = modelFile("decoder_with_past.onnx", { ones: [1, 1], renamed: [3, 4] });
		const sharing = sharingOf([own], [other]);
		expect(sharing.unproved).toEqual([]);
		const copies = (name: string) => sharing.copiesOf({ file: own, value: valueIn(own, name) });
		expect(copies("ones")).toEqual([valueIn(own, "ones"), valueIn(other, "ones")]);
		expect(copies("alsoOnes")).toEqual([valueIn(own, "alsoOnes")]);
		expect(copies("weight")).toEqual([valueIn(own, "weight"), valueIn(other, "renamed")]);
	});

	it("names_what_it_cannot_prove", () => {
		const own = modelFile("decoder.onnx", { one: [1, 1], two: [1, 1], weight: [3, 4] });
		const other = modelFile("decoder_with_past.onnx", { third: [1, 1], weight: [3, 5] });
		expect(sharingOf([own], [other]).unproved).toEqual(["decoder_with_past.onnx: third", "decoder_with_past.onnx: weight"]);
	});
});

describe("rowSource", () => {
	const table = tableOf(
		Float32Array.from({ length: 4000 * 2 }, (_, at) => Math.floor(at / 2)),
		4000,
		2,
	);
	const group = { vocabulary: { table } } as FactorGroup;

	it("draws_half_of_the_rows_by_frequency_and_half_alike", () => {
		const frequency = new Float64Array(4000);
		frequency[7] = 3;
		const source = rowSource(group, { frequency, metric: undefined, relative: false, seed: 1 });
		const feeds = source.feeds(0, 5);
		const ids = [...(feeds["distemb/rows.0/ids"]?.data ?? [])].map(Number);
		expect(ids.filter((id) => id === 7).length).toBeGreaterThanOrEqual(1024);
		expect(new Set(ids).size).toBeGreaterThan(700);
		expect([...(feeds["distemb/rows.0/original"]?.data ?? [])].map(Number)).toEqual(ids.flatMap((id) => [id, id]));
		expect(source.feeds(0, 5)).toEqual(feeds);
		expect(source.feeds(0, 6)).not.toEqual(feeds);
	});

	it("holds_a_table_as_a_whole_unless_it_is_too_large", () => {
		const { count, energy, feeds } = wholeTable({ vocabulary: { table: tableOf(Float32Array.of(1, 2, 3, 4), 2, 2) } } as FactorGroup) ?? {};
		expect({ count, energy }).toEqual({ count: 2, energy: 30 });
		expect(feeds?.(1, 7)).toEqual({ "distemb/rows.1/original": { dtype: "float32", dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) } });
		const large = { ...tableOf(new Float32Array(4), 2, 2), rows: 2 ** 23 + 1 };
		expect(wholeTable({ vocabulary: { table: large } } as FactorGroup)).toBeUndefined();
	});

	it("weighs_so_that_a_student_of_zeros_loses_one", () => {
		const frequency = new Float64Array(4000).fill(1);
		const feeds = rowSource(group, { frequency, metric: undefined, relative: true, seed: 1 }).feeds(0, 1);
		const [original, weights] = ["original", "weights"].map((name) => [...(feeds[`distemb/rows.0/${name}`]?.data ?? [])].map(Number));
		const loss = original?.reduce((sum, element, at) => sum + element * element * (weights?.[Math.floor(at / 2)] ?? 0), 0);
		expect(loss).toBeCloseTo(1, 5);
	});
});

describe("metricOf", () => {
	const vocabulary = { table: tableOf(new Float32Array(4), 2, 2) } as Vocabulary;
	const calibration = {
		...{ vocabulary, tokens: 10, counted: 10, source: "data" as const },
		frequency: Float64Array.of(0.5, 0.5),
		gradientMoment: Float64Array.of(2, 0, 0, 2),
		spread: Float64Array.of(0.1, 0.3),
		hiddenMoment: Float64Array.of(10, 0, 0, 20),
	};

	it("is_the_objective_of_the_closed_form", () => {
		const { frequency, root } = metricOf(calibration, "both") ?? {};
		const objective = objectiveOf(termsOf(calibration, "both"), 2);
		expect(frequency).toEqual(objective?.rowWeights);
		const [a = 0, b, c = 0, d = 0] = root ?? [];
		expect(b).toBe(0);
		const [first = 0, , , last = 0] = objective?.metric ?? [];
		const ridge = (1e-3 * (first + last)) / 2;
		expect((c * c + d * d) / (a * a)).toBeCloseTo((last + ridge) / (first + ridge), 5);
	});

	it("looks_at_the_side_that_the_factors_serve", () => {
		const [input, output] = (["input", "output"] as const).map((side) => metricOf(calibration, side));
		expect(input?.frequency).toEqual(Float32Array.of(0.5, 0.5));
		expect(output?.frequency).toEqual(Float32Array.of(0.25, 0.75));
		expect(metricOf({ ...calibration, frequency: undefined }, "input")).toBeUndefined();
	});
});

describe("extentOf", () => {
	it("takes_a_tenth_of_the_training_at_most", () => {
		for (const trained of [50_000, 300_000, 5_000_000]) {
			const { positions, rounds } = extentOf(6144, trained);
			// A forward pass of student and original costs half of a step.
			expect((0.5 * positions * rounds) / trained).toBeLessThanOrEqual(0.1);
			expect(rounds).toBeGreaterThanOrEqual(4);
		}
	});

	it("looks_at_fewer_positions_of_large_vocabularies", () => {
		expect(extentOf(6144, undefined).positions).toBe(4096);
		expect(extentOf(49_152, undefined).positions).toBe(1365);
		expect(extentOf(1_000_000, undefined).positions).toBe(512);
	});
});

describe("zeroRows", () => {
	it("finds_rows_that_are_exactly_zero", () => {
		expect(zeroRows(tableOf(Float32Array.of(0, 0, 1, 0, 0, 0, 0, 1e-30), 4, 2))).toEqual([0, 2]);
	});
});
