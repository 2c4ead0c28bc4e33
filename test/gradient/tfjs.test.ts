// An independent library differentiates the same transformer: TensorFlow.js, on the CPU, in plain JavaScript.
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { divergence } from "../../src/gradient/loss.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { normal, seedFor } from "../../src/random.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { EngineTensor } from "../../src/runtime/session.js";
import { compute, written } from "./help.js";

const [BATCH, LENGTH, WORDS, RANK, WIDTH, HEADS, INNER] = [2, 5, 11, 3, 8, 2, 12] as const;
const SIZE = WIDTH / HEADS;
const ROWS = BATCH * LENGTH;

const IDS = [3, 1, 3, 10, 0, 7, 7, 7, 2, 5];
const WEIGHTS = [1, 1, 1, 0, 0, 1, 0.5, 1, 1, 1];
const TEMPERATURE = 2;

/** Parameters and their sizes; biases and scales have one axis. */
const PARAMETERS = {
	u: [WORDS, RANK],
	w: [RANK, WIDTH],
	places: [LENGTH, WIDTH],
	scale1: [WIDTH],
	bias1: [WIDTH],
	qkv: [WIDTH, 3 * WIDTH],
	qkvBias: [3 * WIDTH],
	out: [WIDTH, WIDTH],
	scale2: [WIDTH],
	bias2: [WIDTH],
	up: [WIDTH, INNER],
	upBias: [INNER],
	down: [INNER, WIDTH],
	headBias: [WORDS],
} as const;

type Name = keyof typeof PARAMETERS;
const NAMES = Object.keys(PARAMETERS) as Name[];

/** One pre-norm block with a factorized vocabulary that lookup and projection share. */
const GRAPH = `
	main(ids: int64[2, 5], ${NAMES.map((name) => `${name}: float32[${PARAMETERS[name].join(", ")}]`).join(", ")})
	rows = Gather(u, ids)
	words = MatMul(rows, w)
	x0 = Add(words, places)
	h1 = LayerNormalization<epsilon=0.00001>(x0, scale1, bias1)
	p = MatMul(h1, qkv)
	pb = Add(p, qkvBias)
	sizes = int64[3] {8, 8, 8}
	q, k, v = Split<axis=-1>(pb, sizes)
	heads = int64[4] {0, 0, 2, 4}
	q4 = Reshape(q, heads)
	k4 = Reshape(k, heads)
	v4 = Reshape(v, heads)
	qt = Transpose<perm=[0, 2, 1, 3]>(q4)
	kt = Transpose<perm=[0, 2, 3, 1]>(k4)
	vt = Transpose<perm=[0, 2, 1, 3]>(v4)
	scores = MatMul(qt, kt)
	half = float32[] {0.5}
	scaled = Mul(scores, half)
	seen = bool[5, 5] {1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1}
	lowest = float32[] {-1000000}
	masked = Where(seen, scaled, lowest)
	weights = Softmax<axis=-1>(masked)
	mixed = MatMul(weights, vt)
	back = Transpose<perm=[0, 2, 1, 3]>(mixed)
	flat = int64[3] {0, 0, -1}
	joined = Reshape(back, flat)
	o = MatMul(joined, out)
	x1 = Add(x0, o)
	h2 = LayerNormalization<epsilon=0.00001>(x1, scale2, bias2)
	f = MatMul(h2, up)
	fb = Add(f, upBias)
	act = Tanh(fb)
	g = MatMul(act, down)
	x2 = Add(x1, g)
	wt = Transpose<perm=[1, 0]>(w)
	low = MatMul(x2, wt)
	ut = Transpose<perm=[1, 0]>(u)
	bare = MatMul(low, ut)
	logits = Add(bare, headBias)
	return logits`;

function layerNorm(x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor): tf.Tensor {
	const centred = tf.sub(x, tf.mean(x, -1, true));
	return tf.add(tf.mul(tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5))), scale), bias);
}

/** The same model in TensorFlow.js; states are [rows, width]. */
function logitsOf(at: Readonly<Record<Name, tf.Tensor>>): tf.Tensor {
	const words = tf.matMul(tf.gather(at.u, tf.tensor1d(IDS, "int32")) as tf.Tensor2D, at.w as tf.Tensor2D);
	const x0 = tf.reshape(tf.add(tf.reshape(words, [BATCH, LENGTH, WIDTH]), at.places), [ROWS, WIDTH]);
	const projected = tf.add(tf.matMul(layerNorm(x0, at.scale1, at.bias1) as tf.Tensor2D, at.qkv as tf.Tensor2D), at.qkvBias);
	const [q, k, v] = tf
		.split(projected, 3, -1)
		.map((part) => tf.transpose(tf.reshape(part, [BATCH, LENGTH, HEADS, SIZE]), [0, 2, 1, 3])) as [tf.Tensor, tf.Tensor, tf.Tensor];
	const scores = tf.div(tf.matMul(q, k, false, true), Math.sqrt(SIZE));
	const hidden = tf.tensor(Array.from({ length: LENGTH ** 2 }, (_, i) => (i % LENGTH > Math.floor(i / LENGTH) ? -1e6 : 0)));
	const mixed = tf.matMul(tf.softmax(tf.add(scores, tf.reshape(hidden, [LENGTH, LENGTH]))), v);
	const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [ROWS, WIDTH]);
	const x1 = tf.add(x0, tf.matMul(joined as tf.Tensor2D, at.out as tf.Tensor2D));
	const inner = tf.tanh(tf.add(tf.matMul(layerNorm(x1, at.scale2, at.bias2) as tf.Tensor2D, at.up as tf.Tensor2D), at.upBias));
	const x2 = tf.add(x1, tf.matMul(inner as tf.Tensor2D, at.down as tf.Tensor2D));
	const low = tf.matMul(x2 as tf.Tensor2D, at.w as tf.Tensor2D, false, true);
	return tf.add(tf.matMul(low, at.u as tf.Tensor2D, false, true), at.headBias);
}

/** T² Σ weight · KL(teacher ‖ student) / Σ weight, as the definition has it. */
function divergenceOf(logits: tf.Tensor, teacher: tf.Tensor): tf.Scalar {
	const [logP, logQ] = [teacher, logits].map((x) => tf.logSoftmax(tf.div(x, TEMPERATURE))) as [tf.Tensor, tf.Tensor];
	const perRow = tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), -1);
	const weights = tf.tensor1d(WEIGHTS);
	return tf.mul(tf.div(tf.sum(tf.mul(perRow, weights)), tf.sum(weights)), TEMPERATURE ** 2) as tf.Scalar;
}

function numbers(name: string, dims: readonly number[], spread: number): EngineTensor {
	const random = normal(seedFor(5, name));
	return tensorOf("float32", dims, () => spread * random());
}

const VALUES = Object.fromEntries(NAMES.map((name) => [name, numbers(name, PARAMETERS[name], 0.7)])) as Record<Name, EngineTensor>;
const TEACHER = numbers("teacher", [ROWS, WORDS], 2);

/** Loss, then the gradient of each parameter. */
type Found = readonly (readonly number[])[];

async function ours(wanted: readonly Name[]): Promise<Found> {
	const feeds = { ids: tensorOf("int64", [BATCH, LENGTH], (index) => IDS[index] ?? 0), ...VALUES };
	const { model, ops, value } = await written(GRAPH, feeds);
	const constant = (values: ArrayLike<number>, dims: readonly number[]) =>
		ops.reshape(
			ops.concat(
				Array.from(values, (one) => ops.reshape(ops.scalar(one, "float32"), [1])),
				0,
			),
			dims,
		);
	const teacher = constant(TEACHER.data as Float32Array, [BATCH, LENGTH, WORDS]);
	const mask = constant(WEIGHTS, [BATCH, LENGTH]);
	const loss = divergence(ops, { teacher, student: value("logits"), mask, temperature: TEMPERATURE });
	const { gradients, missing } = differentiate(ops, loss, wanted.map(value));
	expect(missing).toEqual([]);
	const results = wanted.map((name) => gradients.get(value(name))?.dense);
	const all = [loss, ...results].filter((result) => result !== undefined);
	expect(all).toHaveLength(wanted.length + 1);
	return (await compute(model, all, feeds)).map((result) => [...result]);
}

function theirs(wanted: readonly Name[]): Found {
	const tensor = ({ data, dims }: EngineTensor) => tf.tensor(data as Float32Array, [...dims]);
	const lossOf = (...parameters: tf.Tensor[]) => {
		const at = Object.fromEntries(NAMES.map((name, index) => [name, parameters[index]])) as Record<Name, tf.Tensor>;
		return divergenceOf(logitsOf(at), tensor(TEACHER));
	};
	const { value, grads } = tf.valueAndGrads(lossOf)(NAMES.map((name) => tensor(VALUES[name])));
	return [value, ...wanted.map((name) => grads[NAMES.indexOf(name)] as tf.Tensor)].map((one) => [...one.dataSync()]);
}

/** Largest difference of two arrays, relative to the largest element. */
function differenceOf(a: readonly number[], b: readonly number[]): number {
	const largest = Math.max(...b.map(Math.abs));
	return a.length === b.length ? Math.max(...a.map((one, index) => Math.abs(one - (b[index] ?? Number.NaN)))) / largest : Number.NaN;
}

/**
 * Float32 has 6e-8; every element here is a sum of some hundred products at the end of some thirty operations, in two orders.
 * A term left out anywhere shows at 1e-2 or more.
 */
const TOLERANCE = 1e-5;

describe("a transformer block in TensorFlow.js", () => {
	beforeAll(async () => {
		await tf.setBackend("cpu");
	});

	it("has_the_same_divergence_and_the_same_gradient_of_every_parameter", async () => {
		const [a, b] = [await ours(NAMES), theirs(NAMES)];
		const differences = ["loss", ...NAMES].map((name, index) => ({ name, difference: differenceOf(a[index] ?? [], b[index] ?? []) }));
		expect(differences.filter(({ difference }) => !(difference < TOLERANCE))).toEqual([]);
		expect(a[0]?.[0]).toBeGreaterThan(0.1);
	});

	it("tells_a_gradient_that_lacks_one_of_two_uses_of_the_table_apart", async () => {
		const [[, left = []], [, whole = []]] = [await ours(["u"]), theirs(["u"])];
		const headOnly = whole.map((one, index) => (IDS.includes(Math.floor(index / RANK)) ? one : 0));
		expect(differenceOf(left, whole)).toBeLessThan(TOLERANCE);
		expect(differenceOf(left, headOnly)).toBeGreaterThan(100 * TOLERANCE);
	});
});
