// Cases of Loop and Scan whose number of steps is known: constants, sizes, states, slices, bodies in bodies.
import type { GradientCase } from "../check.js";

/** A Loop over `body`, whose lines are the nodes of a body with inputs i, c, h; it returns c2 and what `returns` says. */
function loop(body: readonly string[], returns: string, outputs: string, trips: readonly string[] = ["n = int64[] {3}"]): string {
	const lines = [...body.map((line) => `\t\t${line}`), `\t\treturn c2: bool[], ${returns}`];
	return [
		"main(x: T[2, 3], w: T[3])",
		...trips,
		`${outputs} = Loop(n, _, x)`,
		"\tbody:",
		"\tgraph inner(i: int64[], c: bool[], h: T[2, 3])",
		...lines,
		`return ${outputs}`,
	].join("\n");
}

const SAME = "c2 = Identity(c)";
const TURN = ["p = Mul(h, w)", "g = Tanh(p)"];
const STATE = "g: T[2, 3]";

/** A Scan with state h and slices a: h ← tanh(h w) + a; the states are stacked. */
function scan(attributes: string, { sliced = "4, 2, 3", slice = "2, 3", opset = 18 } = {}): GradientCase {
	return {
		about: `Scan${attributes}, opset ${opset}`,
		opset,
		graph: `main(x: T[${slice}], a: T[${sliced}], w: T[3])
			y, z = Scan<num_scan_inputs=1${attributes}>(x, a)
				body:
				graph inner(h: T[${slice}], s: T[${slice}])
					p = Mul(h, w)
					t = Tanh(p)
					g = Add(t, s)
					r = Mul(g, s)
					return g: T[${slice}], r: T[${slice}]
			return y, z`,
	};
}

export const loops: readonly GradientCase[] = [
	{ about: "states behind a constant number of steps", graph: loop([SAME, ...TURN], STATE, "y") },
	{ about: "states and slices, opset 11", graph: loop([SAME, ...TURN], `${STATE}, p: T[2, 3]`, "y, z"), opset: 11 },
	{
		about: "as many steps as an axis is long",
		graph: loop([SAME, ...TURN], `${STATE}, p: T[2, 3]`, "y, z", ["s = Shape(x)", "o = int64[] {1}", "n = Gather(s, o)"]),
	},
	{ about: "a constant condition", graph: loop(["c2 = bool[] {1}", ...TURN], STATE, "y") },
	{
		about: "constants and nodes that are the same in all steps, the number of the step",
		graph: loop(
			[SAME, "e = T[3] {1, 2, 3}", "d = Mul(w, e)", "f = Cast<to=11>(i)", "p = Mul(h, d)", "q = Add(p, f)", "g = Tanh(q)"],
			`${STATE}, d: T[3]`,
			"y, z",
		),
	},
	{ about: "what is outside becomes the state", graph: loop([SAME, "p = Mul(h, x)", "q = Identity(x)"], "q: T[2, 3], p: T[2, 3]", "y, z") },
	{ about: "no step", graph: loop([SAME, ...TURN], STATE, "y", ["n = int64[] {0}"]) },
	{
		about: "branches by the number of the step",
		graph: loop(
			[
				SAME,
				"k = int64[] {1}",
				"b = Equal(i, k)",
				"p = If(b)",
				"\tthen_branch:",
				"\tgraph yes()",
				"\t\tv = Mul(h, w)",
				"\t\treturn v: T[2, 3]",
				"\telse_branch:",
				"\tgraph no()",
				"\t\tv = Add(h, w)",
				"\t\treturn v: T[2, 3]",
				"g = Tanh(p)",
			],
			STATE,
			"y",
		),
	},
	{
		about: "a loop in a loop",
		graph: loop(
			[
				SAME,
				"k = int64[] {2}",
				"p = Loop(k, c, h)",
				"\tbody:",
				"\tgraph within(j: int64[], d: bool[], u: T[2, 3])",
				"\t\td2 = Identity(d)",
				"\t\tv = Mul(u, w)",
				"\t\treturn d2: bool[], v: T[2, 3]",
				"g = Tanh(p)",
			],
			STATE,
			"y",
		),
	},
	scan(""),
	scan("", { opset: 9 }),
	scan("", { opset: 12 }),
	scan(", scan_input_directions=[1]"),
	scan(", scan_output_directions=[1], scan_output_axes=[1]"),
	scan(", scan_input_axes=[-1], scan_output_axes=[-1]", { sliced: "2, 3, 4" }),
	{
		about: "Scan of two tensors without a state",
		graph: `main(a: T[3, 2], b: T[2, 3])
			y = Scan<num_scan_inputs=2, scan_input_axes=[0, 1]>(a, b)
				body:
				graph inner(s: T[2], t: T[2])
					r = Mul(s, t)
					return r: T[2]
			return y`,
	},
];
