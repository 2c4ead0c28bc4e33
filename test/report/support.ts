// A report with all parts, made by hand.
import type { DetailsReport } from "../../src/report/details.js";
import type { FlowReport } from "../../src/report/flow.js";
import type { CompileReport, QualityReport } from "../../src/report/report.js";

const SCORES = {
	positions: 1000,
	teacherPerplexity: 20,
	studentPerplexity: 21,
	teacherNats: 2.996,
	studentNats: 3.045,
	divergence: 0.0125,
	agreement: 0.975,
};

export const QUALITY: QualityReport = {
	kind: "causal",
	data: { files: ["test.txt"], measured: "1000 next tokens", limited: false },
	tokens: {
		all: SCORES,
		bins: { head: { ...SCORES, divergence: 0.011 }, tail: { ...SCORES, divergence: 0.037 } },
		counts: "the training part",
	},
	notes: [],
	generated: false,
};

export const DETAILS: DetailsReport = {
	command: "npx onnx-distemb model.onnx small.onnx --rank 2",
	node: "v20.19.0",
	threads: 2,
	parts: [
		{ name: "vocabulary", before: 4e6, after: 1e6 },
		{ name: "other matrices", before: 3e6, after: 3e6 },
	],
	tables: [
		{
			vocabulary: "table",
			singularValues: [4, 3, 2, 1],
			damage: { known: { total: 0.01, worst: [{ id: 7, text: "␣dog", loss: 0.004, frequency: 0.02, relativeError: 0.25 }] } },
			neighbours: {
				known: {
					counts: "the training part",
					tokens: [
						{
							id: 7,
							text: "␣dog",
							before: [
								{ id: 8, text: "␣cat", cosine: 0.9 },
								{ id: 9, text: "␣cow", cosine: 0.8 },
							],
							after: [
								{ id: 8, text: "␣cat", cosine: 0.88 },
								{ id: 3, text: "␣car", cosine: 0.7 },
							],
						},
					],
				},
			},
		},
	],
	samples: {
		known: { how: "one text", samples: [{ input: "Once upon", reference: " a time", original: " a time there", result: " a time long" }] },
	},
};

const flow = (op: string, tensor: string): FlowReport => ({
	file: "model.onnx",
	scope: "main",
	side: "lookup",
	pattern: "E1",
	from: { name: "ids", type: "int64[batch, length]" },
	steps: [
		{ ops: [{ op, count: 1 }], node: "embed", minor: false, tensors: [{ name: tensor, type: "float32[9, 4]", bytes: 144 }], constants: [] },
	],
	to: { name: "rows", readers: [{ op: "Add", count: 2 }] },
});

/** A report with everything, some of it replaced. */
export function reportWith(changes: Partial<CompileReport> = {}): CompileReport {
	return {
		version: 1,
		tool: { name: "onnx-distemb", version: "0.1.0" },
		options: { rank: 2 },
		input: { path: "/models/model.onnx", bytes: 7e6, files: [{ name: "model.onnx", bytes: 7e6 }] },
		output: { path: "small.onnx", bytes: 4e6, files: ["small.onnx"] },
		vocabularies: [
			{ name: "table", rows: 9, cols: 4, stored: "float32", tied: true, bytes: 4e6, copies: [], lookups: [], projections: [] },
		],
		rejected: [],
		bytes: { vocabulary: 4e6, other: 3e6 },
		graph: [{ vocabulary: "table", before: [flow("Gather", "table")], after: [flow("MatMul", "table.right")], note: "as it was written" }],
		savedBytes: 3e6,
		predictedSavedBytes: 3e6,
		factors: [
			{
				vocabulary: "table",
				side: "both",
				rank: 2,
				dtype: "float32",
				ops: "standard",
				bytes: 1e6,
				relativeError: 0.3,
				storedRelativeError: 0.3,
				bins: [],
			},
		],
		training: {
			measures: "divergence",
			curve: [
				{ phase: "all", step: 0, seconds: 0, loss: 2, validation: 0.5, rate: 0 },
				{ phase: "all", step: 10, seconds: 3, loss: 1, validation: 0.25, rate: 0.001 },
			],
			best: { step: 10, validation: 0.25 },
			stopped: "steps",
			rollbacks: 0,
			tokens: 640,
			trained: ["table.left"],
			untrained: [],
		},
		verification: [
			{
				file: "model.onnx",
				ran: true,
				outputs: [
					{ output: "logits", inputs: "ids", shape: [1, 2, 9], maxDifference: 0.1, relativeDifference: 0.01, kl: 0.02, top1Agreement: 1 },
				],
			},
		],
		quality: QUALITY,
		details: DETAILS,
		warnings: [],
		passes: [
			{ name: "locate", milliseconds: 12.5, log: ["found it"] },
			{ name: "distill", milliseconds: 3100, log: [] },
		],
		...changes,
	};
}
