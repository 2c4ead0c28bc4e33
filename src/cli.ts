#!/usr/bin/env node
// argv → options → call → print. The only place that prints, and that decides on exit codes.
import { closest, distance } from "fastest-levenshtein";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { compileArguments, compileOptions, inspectArguments, OPTION_NAMES, outputOptions, planArguments } from "./arguments.js";
import { buildArguments } from "./build/arguments.js";
import { loadConfig } from "./build/load.js";
import { build } from "./build.js";
import { compareArguments, compareOptions } from "./compare/arguments.js";
import { compare } from "./compare.js";
import { compile, inspect, plan } from "./compile.js";
import { DistembError, EXIT_CODES, outputError } from "./errors.js";
import { githubJob } from "./github.js";
import type { CommonOptions } from "./options.js";
import { type BuildReport, buildText, exitCodeOf, failureText } from "./report/build.js";
import { compareText } from "./report/compare-text.js";
import { writeReport } from "./report/file.js";
import { planText } from "./report/plan.js";
import { compileText, inspectText } from "./report/text.js";
import { visible, visibleThroughout } from "./report/visible.js";
import { progressDisplay } from "./terminal.js";
import { TOOL } from "./version.js";

const usage = (message: string, hint?: string) => new DistembError("usage", message, { hint });

interface Output {
	readonly json?: string | undefined;
	readonly quiet?: boolean | undefined;
}

/** Runs `work` with progress and Ctrl-C, then prints its report as asked. */
async function present<R>(
	output: Output,
	work: (options: Pick<CommonOptions, "signal" | "onProgress">) => Promise<R>,
	toText: (report: R) => string,
): Promise<R> {
	const abort = new AbortController();
	const stop = () => abort.abort();
	process.once("SIGINT", stop);
	process.once("SIGTERM", stop);
	const display = progressDisplay(process.stderr, output.quiet === true);
	let report: R;
	try {
		report = await work({ signal: abort.signal, onProgress: display.show });
	} finally {
		display.stop();
		process.off("SIGINT", stop);
		process.off("SIGTERM", stop);
	}
	const json = `${JSON.stringify(report, null, 2)}\n`;
	if (output.json === "-") await print(json);
	else {
		if (output.json !== undefined) writeReport(output.json, json);
		await print(`${toText(visibleThroughout(report))}
`);
	}
	return report;
}

/** Writes to stdout; a reader that has seen enough (`| head`) is no error. */
async function print(text: string): Promise<void> {
	const error = await new Promise<Error | null | undefined>((resolve) => process.stdout.write(text, resolve));
	if (error && !("code" in error && error.code === "EPIPE")) throw outputError("standard output", error);
}

/** Failed models have their line on stderr, like any error; the exit code is that of the gravest. */
async function endBuild(report: BuildReport, config: string): Promise<void> {
	for (const model of report.models)
		if (model.status === "failed") process.stderr.write(`${TOOL.name}: ${visible(`${model.name}: ${failureText(model.error)}`)}\n`);
	await github?.models(report.models, config);
	process.exitCode = exitCodeOf(report);
}

const github = githubJob(process.env, process.stderr);

/** A better message than yargs' for an option that does not exist. */
function failure(message: string | null, error: Error | undefined, known: readonly string[]): never {
	if (error instanceof DistembError) throw error;
	const unknown = /^Unknown arguments?: (.+)$/.exec(message ?? "")?.[1]?.split(", ")[0];
	if (unknown !== undefined) {
		const nearest = closest(unknown, known);
		const near = distance(unknown, nearest) <= Math.max(2, unknown.length / 3);
		throw usage(`unknown option or argument "${unknown}"`, near ? `did you mean --${nearest}?` : "see --help");
	}
	const [, got, need] = /^Not enough non-option arguments: got (\d+), need at least (\d+)/.exec(message ?? "") ?? [];
	if (got !== undefined) throw usage(`too few paths: ${got} given, ${need} needed`, "see --help");
	throw usage((message ?? error?.message ?? "wrong usage").replace(/\s*\n\s*/g, " "), "see --help");
}

/** The descriptions say what a value looks like; `[string]` at the end of each line only widens the page. */
function withoutTypes(parser: object): void {
	// A method of yargs 18 that its published types do not know yet.
	(parser as { usageConfiguration(given: { "hide-types": boolean }): unknown }).usageConfiguration({ "hide-types": true });
}

async function main(argv: readonly string[]): Promise<void> {
	const parser = yargs([...argv])
		.scriptName(TOOL.name)
		.version(TOOL.version)
		.usage("Makes the vocabulary of an ONNX translation or language model many times smaller.")
		.locale("en")
		.parserConfiguration({ "boolean-negation": false, "duplicate-arguments-array": false })
		.command("$0 <in> <out>", "compile an .onnx file or a model's folder", compileArguments, async ({ in: input, out, ...options }) => {
			const report = await present(options, (hooks) => compile(input, out, { ...compileOptions(options), ...hooks }), compileText);
			await github?.models([{ name: out, input, output: out, status: "built", reason: "asked for", report }]);
		})
		.command(
			"build [names..]",
			"compile the models of distemb.config.{ts,js,json}",
			(command) => outputOptions(buildArguments(command)),
			async ({ names, config: named, force, overwrite, resume, threads, ...output }) => {
				const { config, file, folder } = await loadConfig(named);
				const asked = { names, folder, force, overwrite, resume, threads };
				const work = ({ signal, onProgress }: Pick<CommonOptions, "signal" | "onProgress">) =>
					build(config, {
						...asked,
						signal,
						onProgress: ({ model, ...progress }) => onProgress?.({ ...progress, pass: `${model}: ${progress.pass}` }),
					});
				await endBuild(await present(output, work, buildText), file);
			},
		)
		.command(
			"inspect <in>",
			"show what would be rewritten, and what not and why",
			inspectArguments,
			async ({ in: input, embedding, head, keepOtherReaders, threads, ...output }) => {
				await present(output, (hooks) => inspect(input, { embedding, head, keepOtherReaders, threads, ...hooks }), inspectText);
			},
		)
		.command(
			"plan <in>",
			"sizes, and what is lost with each; writes nothing",
			planArguments,
			async ({ in: input, ratio, json, quiet, ...options }) => {
				await present({ json, quiet }, (hooks) => plan(input, { ...options, ratios: ratio, ...hooks }), planText);
			},
		)
		.command(
			"compare <teacher> <student>",
			"measure how well a smaller model still does",
			(command) => outputOptions(compareArguments(command)),
			async ({ teacher, student, ...options }) => {
				await present(options, (hooks) => compare(teacher, student, { ...compareOptions(options), ...hooks }), compareText);
			},
		)
		.strict()
		.demandCommand(0)
		.exitProcess(false)
		.showHidden("all", "with --help: the rarer options too")
		.describe("help", "this page; after a command, the page of that command")
		.describe("version", "the version")
		.wrap(Math.min(100, process.stdout.columns ?? 100))
		.fail((message, error) => failure(message, error, OPTION_NAMES));
	withoutTypes(parser);
	await parser.parseAsync();
}

// Whoever writes there learns of it by himself; without a listener Node.js ends with a stack.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

try {
	await main(hideBin(process.argv));
} catch (error) {
	const known =
		error instanceof DistembError
			? error
			: new DistembError("internal", error instanceof Error ? error.message : String(error), { cause: error });
	await github?.error(known);
	process.stderr.write(`${TOOL.name}: ${visible(known.toLine())}\n`);
	if (process.env.DISTEMB_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
	process.exitCode = EXIT_CODES[known.code];
}
