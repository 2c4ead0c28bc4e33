// Losses against their definitions in plain arithmetic, and their hand-made gradients against central differences.
import { describe, expect, it } from "vitest";
import { crossEntropy, divergence, embeddingError, squaredError, tableError, weightedSum } from "../../src/gradient/loss.js";
import type { Ops } from "../../src/gradient/ops.js";
import { differentiate } from "../../src/gradient/sweep.js";
import type { Value } from "../../src/ir/graph.js";
import { normal } from "../../src/random.js";
import type { EngineTensor, Feeds } from "../../src/runtime/session.js";
import { compute, doubles, integers, written } from "./help.js";

type Loss = (ops: Ops, value: (name: string) => Value) => Value;

function random(dims: readonly number[], seed: number): EngineTensor {
	return doubles(dims, normal(seed));
}

/** Loss and gradients of `names`, and the largest relative error of each gradient. */
async function checked(head: string, feeds: Feeds, names: readonly string[], make: Loss): Promise<{ loss: number; errors: number[] }> {
	const { model, ops, value } = await written(`main(${head})\nreturn ${names[0]}`, feeds);
	// A factor of its own, so that the gradient that reaches the loss is not one.
	const total = ops.mul(make(ops, value), 3);
	const { gradients } = differentiate(ops, total, names.map(value));
	const dense = names.map((name) => gradients.get(value(name))?.dense).filter((gradient) => gradient !== undefined);
	const [loss, ...found] = await compute(model, [total, ...dense], feeds);
	const at = async (name: string, index: number, distance: number) => {
		const old = feeds[name] as EngineTensor;
		const moved = doubles(old.dims, (place) => Number(old.data[place]) + (place === index ? distance : 0));
		const [result] = await compute(model, [total], { ...feeds, [name]: moved });
		return result?.[0] ?? Number.NaN;
	};
	const errors: number[] = [];
	for (const [number, name] of names.entries()) {
		const gradient = found[number] ?? new Float64Array();
		const largest = Math.max(...gradient.map(Math.abs));
		let error = gradient.length === feeds[name]?.data.length ? 0 : Number.NaN;
		for (let index = 0; index < Math.min(gradient.length, 6); index++) {
			const numeric = ((await at(name, index, 1e-4)) - (await at(name, index, -1e-4))) / 2e-4;
			error = Math.max(error, Math.abs(numeric - (gradient[index] ?? 0)) / largest);
		}
		errors.push(error);
	}
	return { loss: (loss?.[0] ?? Number.NaN) / 3, errors };
}

function softmax(logits: readonly number[]): number[] {
	const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
	return logits.map((logit) => Math.exp(logit) / total);
}

function rows({ data, dims }: EngineTensor): number[][] {
	const size = dims.at(-1) ?? 1;
	const all = Array.from(data as ArrayLike<number>, Number);
	return Array.from({ length: all.length / size }, (_, row) => all.slice(row * size, (row + 1) * size));
}

const teacher = random([2, 3, 5], 1);
const student = random([2, 3, 5], 2);
const mask = integers([2, 3], [1, 1, 0, 1, 0, 0]);
const HEAD = "student: float64[2, 3, 5], teacher: float64[2, 3, 5], mask: int64[2, 3]";

describe("divergence", () => {
	for (const temperature of [1, 2.5]) {
		it(`is_the_masked_mean_at_temperature_${temperature}`, async () => {
			const feeds = { teacher, student, mask };
			const { loss, errors } = await checked(HEAD, feeds, ["student"], (ops, value) =>
				divergence(ops, { teacher: value("teacher"), student: value("student"), mask: value("mask"), temperature }),
			);
			const perRow = rows(teacher).map((logits, row) => {
				const p = softmax(logits.map((logit) => logit / temperature));
				const q = softmax((rows(student)[row] ?? []).map((logit) => logit / temperature));
				return p.reduce((sum, share, index) => sum + share * Math.log(share / (q[index] ?? 0)), 0);
			});
			const expected = (temperature ** 2 * ((perRow[0] ?? 0) + (perRow[1] ?? 0) + (perRow[3] ?? 0))) / 3;
			expect(loss).toBeCloseTo(expected, 12);
			expect(Math.max(...errors)).toBeLessThan(1e-6);
		});
	}

	it("is_zero_where_nothing_counts_and_where_both_agree", async () => {
		const none = { teacher, student, mask: integers([2, 3], []) };
		const make: Loss = (ops, value) =>
			divergence(ops, { teacher: value("teacher"), student: value("student"), mask: value("mask"), temperature: 1 });
		expect((await checked(HEAD, none, ["student"], make)).loss).toBe(0);
		const equal = { teacher, student: teacher, mask };
		expect((await checked(HEAD, equal, ["student"], make)).loss).toBeCloseTo(0, 15);
	});

	it("sends_nothing_back_to_the_teacher", async () => {
		const feeds = { teacher, student, mask };
		const { ops, value } = await written(`main(${HEAD})\nreturn student`, feeds);
		const loss = divergence(ops, { teacher: value("teacher"), student: value("student"), temperature: 1 });
		const { gradients } = differentiate(ops, loss, [value("teacher"), value("student")]);
		expect([...gradients.keys()].map(({ name }) => name)).toEqual(["student"]);
	});
});

describe("crossEntropy", () => {
	const head = "logits: float64[2, 3, 5], labels: int64[2, 3]";
	const make: Loss = (ops, value) => crossEntropy(ops, { logits: value("logits"), labels: value("labels") });

	it("is_the_mean_over_labels_that_count", async () => {
		const feeds = { logits: student, labels: integers([2, 3], [4, -100, 0, 2, 2, -100]) };
		const { loss, errors } = await checked(head, feeds, ["logits"], make);
		const nats = (row: number, label: number) => -Math.log(softmax(rows(student)[row] ?? [])[label] ?? 0);
		expect(loss).toBeCloseTo((nats(0, 4) + nats(2, 0) + nats(3, 2) + nats(4, 2)) / 4, 12);
		expect(Math.max(...errors)).toBeLessThan(1e-6);
	});

	it("is_zero_without_labels", async () => {
		const feeds = { logits: student, labels: integers([2, 3], [-100, -100, -100, -100, -100, -100]) };
		expect((await checked(head, feeds, ["logits"], make)).loss).toBeCloseTo(0, 15);
	});
});

describe("squaredError", () => {
	it("is_the_masked_mean_over_elements", async () => {
		const feeds = { teacher, student, mask };
		const { loss, errors } = await checked(HEAD, feeds, ["student"], (ops, value) =>
			squaredError(ops, { teacher: value("teacher"), student: value("student"), mask: value("mask") }),
		);
		const square = (row: number) =>
			(rows(student)[row] ?? []).reduce((sum, element, index) => sum + (element - (rows(teacher)[row]?.[index] ?? 0)) ** 2, 0);
		expect(loss).toBeCloseTo((square(0) + square(1) + square(3)) / 15, 12);
		expect(Math.max(...errors)).toBeLessThan(1e-6);
	});
});

describe("tableError", () => {
	it("is_the_mean_over_rows_of_squared_residuals", async () => {
		const feeds = { original: random([4, 3], 5), left: random([4, 2], 3), right: random([2, 3], 4) };
		const [e, u, w] = [rows(feeds.original), rows(feeds.left), rows(feeds.right)];
		const energy = e.flat().reduce((sum, element) => sum + element * element, 0);
		const { loss, errors } = await checked(
			"left: float64[4, 2], right: float64[2, 3], original: float64[4, 3]",
			feeds,
			["left", "right"],
			(ops, value) => tableError(ops, { original: value("original"), left: value("left"), right: value("right"), energy }),
		);
		const squares = e.map((row, at) =>
			row.reduce((sum, element, column) => {
				const product = [0, 1].reduce((dot, k) => dot + (u[at]?.[k] ?? 0) * (w[k]?.[column] ?? 0), 0);
				return sum + (element - product) ** 2;
			}, 0),
		);
		expect(loss).toBeCloseTo(squares.reduce((sum, square) => sum + square, 0) / 4, 12);
		expect(Math.max(...errors)).toBeLessThan(1e-6);
	});
});

describe("embeddingError", () => {
	const feeds = {
		left: random([4, 2], 3),
		right: random([2, 3], 4),
		original: random([4, 3], 5),
		weights: doubles([4], [1, 0.5, 0, 2]),
		metric: random([3, 3], 6),
	};
	const head = "left: float64[4, 2], right: float64[2, 3], original: float64[4, 3], weights: float64[4], metric: float64[3, 3]";

	for (const withMetric of [false, true]) {
		it(`weighs_squared_residuals_${withMetric ? "in_a_metric" : "plainly"}`, async () => {
			const { loss, errors } = await checked(head, feeds, ["left", "right"], (ops, value) =>
				embeddingError(ops, {
					original: value("original"),
					left: value("left"),
					right: value("right"),
					weights: value("weights"),
					metric: withMetric ? value("metric") : undefined,
				}),
			);
			const [u, w, e, a] = [feeds.left, feeds.right, feeds.original, feeds.metric].map(rows) as [
				number[][],
				number[][],
				number[][],
				number[][],
			];
			const expected = [1, 0.5, 0, 2].reduce((sum, weight, row) => {
				const residual = [0, 1, 2].map(
					(column) => [0, 1].reduce((dot, k) => dot + (u[row]?.[k] ?? 0) * (w[k]?.[column] ?? 0), 0) - (e[row]?.[column] ?? 0),
				);
				const seen = withMetric
					? [0, 1, 2].map((column) => residual.reduce((dot, part, k) => dot + part * (a[k]?.[column] ?? 0), 0))
					: residual;
				return sum + weight * seen.reduce((square, part) => square + part * part, 0);
			}, 0);
			expect(loss).toBeCloseTo(expected, 12);
			expect(Math.max(...errors)).toBeLessThan(1e-6);
		});
	}
});

describe("weightedSum", () => {
	it("adds_losses_with_their_factors_and_their_gradients", async () => {
		const feeds = { teacher, student, mask, labels: integers([2, 3], [4, -100, 0, 2, 2, 1]) };
		const { errors } = await checked(`${HEAD}, labels: int64[2, 3]`, feeds, ["student"], (ops, value) =>
			weightedSum(ops, [
				{ loss: divergence(ops, { teacher: value("teacher"), student: value("student"), temperature: 2 }), factor: 0.7 },
				{ loss: crossEntropy(ops, { logits: value("student"), labels: value("labels") }), factor: 0.2 },
				{ loss: squaredError(ops, { teacher: value("teacher"), student: value("student") }), factor: 1 },
			]),
		);
		expect(Math.max(...errors)).toBeLessThan(1e-6);
	});
});
