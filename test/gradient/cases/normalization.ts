// Cases of rules/normalization.ts.
import type { GradientCase } from "../check.js";

const f32 = { precision: "float32" } as const;

function plain(op: string, inputs: readonly string[], more: Partial<GradientCase> = {}): GradientCase {
	const declared = inputs.map((dims, index) => `${"xsb"[index]}: T[${dims}]`).join(", ");
	return {
		about: `${op} ${inputs.join(" ")}`,
		graph: `main(${declared})\ny = ${op}(${[..."xsb"].slice(0, inputs.length).join(", ")})\nreturn y`,
		...more,
	};
}

const SKIP = "main(x: T[2, 3, 4], k: T[2, 3, 4], s: T[4], b: T[4], o: T[4])";

export const normalization = {
	LayerNormalization: [
		plain("LayerNormalization", ["2, 3, 4", "4", "4"]),
		plain("LayerNormalization", ["3, 4", "4"]),
		plain("LayerNormalization<axis=1, epsilon=0.1>", ["2, 3, 4", "3, 4", "3, 4"]),
		plain("LayerNormalization<axis=-2>", ["2, 3, 4", "3, 4", "4"]),
		{ ...plain("LayerNormalization", ["2, 3, 4", "4", "4"], f32), about: "as the engine saves it, opset 12", opset: 12 },
	],
	SimplifiedLayerNormalization: [
		plain("SimplifiedLayerNormalization", ["2, 3, 4", "4"]),
		plain("SimplifiedLayerNormalization<epsilon=0.1>", ["3, 4", "4"], { opset: 12 }),
	],
	RMSNormalization: [
		plain("RMSNormalization", ["2, 3, 4", "4"], { opset: 23 }),
		plain("RMSNormalization<axis=1>", ["2, 3, 4", "3, 4"], { opset: 23 }),
	],
	"com.microsoft.SkipLayerNormalization": [
		{ about: "all inputs", graph: `${SKIP}\ny = com.microsoft.SkipLayerNormalization(x, k, s, b, o)\nreturn y`, ...f32 },
		{ about: "with the sum", graph: `${SKIP}\ny, _, _, z = com.microsoft.SkipLayerNormalization(x, k, s, b, o)\nreturn y, z`, ...f32 },
		{
			about: "the sum only",
			graph: `${SKIP}\ny, _, _, z = com.microsoft.SkipLayerNormalization(x, k, s, b, o)\nreturn z`,
			parameters: ["x", "k", "o"],
			...f32,
		},
		{
			about: "no bias, repeated skip",
			graph: "main(x: T[2, 3, 4], k: T[1, 3, 4], s: T[4])\ny = com.microsoft.SkipLayerNormalization(x, k, s)\nreturn y",
			...f32,
		},
	],
	"com.microsoft.SkipSimplifiedLayerNormalization": [
		{
			about: "with the sum",
			graph:
				"main(x: T[2, 3, 4], k: T[2, 3, 4], s: T[4])\ny, _, _, z = com.microsoft.SkipSimplifiedLayerNormalization(x, k, s)\nreturn y, z",
			...f32,
		},
		{
			about: "bias",
			graph:
				"main(x: T[2, 3, 4], k: T[2, 3, 4], s: T[4], o: T[4])\ny = com.microsoft.SkipSimplifiedLayerNormalization(x, k, s, o)\nreturn y",
			...f32,
		},
	],
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
