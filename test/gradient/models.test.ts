// Whole graphs: a transformer with a tied, factorized vocabulary, in doubles, every parameter against central differences.
import { describe, expect, it } from "vitest";
import { checkGradients, type GradientCase } from "./check.js";

const BLOCK: GradientCase = {
	about: "one block",
	opset: 14,
	feeds: { ids: [3, 1, 3, 5, 0, 2] },
	graph: `
		main(ids: int64[2, 3], u: T[6, 2], w: T[2, 4], places: T[3, 4], s1: T[4], b1: T[4], qkv: T[4, 12], qkvb: T[12], o: T[4, 4], s2: T[4], b2: T[4], up: T[4, 6], upb: T[6], down: T[6, 4])
		rows = Gather(u, ids)
		words = MatMul(rows, w)
		x0 = Add(words, places)
		m1 = ReduceMean<axes=[-1]>(x0)
		d1 = Sub(x0, m1)
		two = T[] {2}
		v1 = Pow(d1, two)
		a1 = ReduceMean<axes=[-1]>(v1)
		e = T[] {0.01}
		r1 = Add(a1, e)
		t1 = Sqrt(r1)
		n1 = Div(d1, t1)
		g1 = Mul(n1, s1)
		h1 = Add(g1, b1)
		p = MatMul(h1, qkv)
		pb = Add(p, qkvb)
		sizes = int64[3] {4, 4, 4}
		q, k, v = Split<axis=-1>(pb, sizes)
		heads = int64[4] {0, 0, 2, 2}
		q4 = Reshape(q, heads)
		k4 = Reshape(k, heads)
		v4 = Reshape(v, heads)
		qt = Transpose<perm=[0, 2, 1, 3]>(q4)
		kt = Transpose<perm=[0, 2, 3, 1]>(k4)
		vt = Transpose<perm=[0, 2, 1, 3]>(v4)
		scores = MatMul(qt, kt)
		root = T[] {1.4142135}
		scaled = Div(scores, root)
		seen = bool[3, 3] {1, 0, 0, 1, 1, 0, 1, 1, 1}
		lowest = T[] {-1000000}
		masked = Where(seen, scaled, lowest)
		weights = Softmax<axis=-1>(masked)
		mixed = MatMul(weights, vt)
		back = Transpose<perm=[0, 2, 1, 3]>(mixed)
		flat = int64[3] {0, 0, -1}
		joined = Reshape(back, flat)
		out = MatMul(joined, o)
		x1 = Add(x0, out)
		h2 = LayerNormalization(x1, s2, b2)
		f = MatMul(h2, up)
		fb = Add(f, upb)
		act = Tanh(fb)
		g = MatMul(act, down)
		x2 = Add(x1, g)
		wt = Transpose<perm=[1, 0]>(w)
		low = MatMul(x2, wt)
		ut = Transpose<perm=[1, 0]>(u)
		logits = MatMul(low, ut)
		y = LogSoftmax<axis=-1>(logits)
		return y`,
};

describe("a transformer block", () => {
	it("has_the_gradient_of_every_parameter_right", async () => {
		const { parameters, result } = await checkGradients(BLOCK);
		expect(result.missing).toEqual([]);
		expect(parameters.map(({ name }) => name)).toHaveLength(13);
		// The key's bias shifts all scores of a row alike: a third of this gradient is zero.
		expect(parameters.filter(({ error }) => !(error < 1e-7))).toEqual([]);
	});
});
