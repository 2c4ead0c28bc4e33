// The command of a report, read back by the command line's own parser.
import { describe, expect, it } from "vitest";
import yargs from "yargs";
import { compileArguments, compileOptions } from "../../src/arguments.js";
import { commandOf } from "../../src/details/command.js";
import type { CompileOptions } from "../../src/options.js";

/** Words of a command as a POSIX shell splits them, single quotes included. */
function words(command: string): string[] {
	return [...command.matchAll(/(?:'[^']*'|\\'|[^\s'\\])+/g)].map(([word]) =>
		word.replace(/'([^']*)'|\\'/g, (_, inside?: string) => inside ?? "'"),
	);
}

type Given = Parameters<typeof compileOptions>[0] & { readonly in: string; readonly out: string };

async function parsed(command: string) {
	const [npx, name, ...rest] = words(command);
	expect([npx, name]).toEqual(["npx", "onnx-distemb"]);
	const parser = yargs()
		.parserConfiguration({ "boolean-negation": false })
		.command("$0 <in> <out>", "", compileArguments)
		.strict()
		.exitProcess(false);
	const { in: input, out, ...options } = (await parser.parseAsync(rest)) as unknown as Given;
	return { input, out, options: compileOptions(options) };
}

const CASES: readonly CompileOptions[] = [
	{ rank: 64, distill: false, dtype: "int8", ops: "onnxruntime" },
	{ targetSize: 20_000_000, data: ["train one.txt", "it's.txt"], steps: 20, phases: ["head", "all"] },
	{
		ratio: 8,
		dtype: "mixed",
		blocks: "auto",
		loss: { kl: 1, crossEntropy: 0.5, temperature: 2 },
		data: ["a.npy"],
		maxPerplexityIncrease: 0.05,
	},
	{ keepOtherReaders: true, allowLarger: true, embedding: "model.embed $(rm x)", minutes: 0.5 },
];

describe("the command of a report", () => {
	it.each(CASES)("gives_the_options_back %#", async (given) => {
		const { input, out, options } = await parsed(commandOf("in put.onnx", "out.onnx", given, 2));
		expect({ input, out }).toEqual({ input: "in put.onnx", out: "out.onnx" });
		expect(options).toEqual({ ...given, seed: 0, threads: 2 });
	});

	it("leaves_out_what_does_not_change_the_result", () => {
		const options = { rank: 8, seed: 3, report: "report.html", overwrite: true, resume: "old.checkpoint", onProgress: () => undefined };
		expect(commandOf("in.onnx", "out.onnx", options, 1)).toBe("npx onnx-distemb in.onnx out.onnx --rank 8 --seed 3 --threads 1");
	});
});
