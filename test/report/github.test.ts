// Annotations and the job's summary for GitHub Actions.
import { describe, expect, it } from "vitest";
import type { BuiltModel, CompileReport } from "../../src/index.js";
import { annotationsOf, summaryMarkdown, workflowCommand } from "../../src/report/github.js";

const FACTS = { name: "small", input: "model.onnx", output: "small.onnx" } as const;

/** As much of a report as is read here. */
const REPORT = {
	input: { path: "model.onnx", bytes: 2e6, files: [] },
	output: { path: "small.onnx", bytes: 1e6, files: [] },
	verification: [],
	warnings: [],
	quality: { tokens: { all: { teacherPerplexity: 10, studentPerplexity: 11, divergence: 0.0123456 } } },
} as unknown as CompileReport;

const BUILT: BuiltModel = { ...FACTS, status: "built", reason: "new", report: REPORT };
const MISSED: BuiltModel = {
	...FACTS,
	status: "failed",
	error: { code: "gate", message: "perplexity rose by 7 %", hint: "nothing was written" },
};

describe("a_workflow_command", () => {
	/** What the runner makes of it: actions/runner, src/Runner.Common/ActionCommand.cs. */
	function parsed(command: string) {
		const [, level, properties = "", data = ""] = /^::(\w+) (.*?)::(.*)$/.exec(command) ?? [];
		const plain = (text: string) =>
			text.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%25", "%");
		const pairs = properties.split(",").map((pair) => pair.split("="));
		return { level, message: plain(data), ...Object.fromEntries(pairs.map(([name = "", value = ""]) => [name, plain(value)])) };
	}

	it("is_one_line_that_the_runner_reads_back_as_it_was_meant", () => {
		const annotation = {
			level: "error",
			title: "a, b: 5 %",
			message: "first: 100 %,\r\nsecond::end",
			file: "models/a,b:c.json",
			line: 3,
		} as const;
		const command = workflowCommand(annotation);
		expect(command).toBe("::error file=models/a%2Cb%3Ac.json,line=3,title=a%2C b%3A 5 %25::first: 100 %25,%0D%0Asecond::end");
		expect(parsed(command)).toEqual({ ...annotation, line: "3" });
	});

	it("leaves_out_what_is_not_known", () => {
		expect(workflowCommand({ level: "notice", title: "t", message: "m" })).toBe("::notice title=t::m");
	});
});

describe("annotations", () => {
	it("are_a_notice_for_what_was_built_and_an_error_at_the_configuration_for_what_was_not", () => {
		expect(annotationsOf(BUILT, "distemb.config.json")).toEqual([
			{
				level: "notice",
				title: "onnx-distemb: small, built",
				message: "model.onnx (2.00 MB) → small.onnx (1.00 MB), 50.0 % smaller (new)",
			},
		]);
		expect(annotationsOf(MISSED, "distemb.config.json")).toEqual([
			{
				level: "error",
				title: "onnx-distemb: small, gate missed",
				message: "perplexity rose by 7 %; nothing was written",
				file: "distemb.config.json",
			},
		]);
	});

	it("warn_of_what_was_not_verified_or_not_trained", () => {
		const report = {
			...REPORT,
			verification: [{ file: "model.onnx", ran: false, reason: "an operator is missing", outputs: [] }],
			training: { stopped: "diverged" },
			warnings: ["not trained: Custom at node 7"],
		} as unknown as CompileReport;
		const warnings = annotationsOf({ ...BUILT, report }, undefined).filter(({ level }) => level === "warning");
		expect(warnings.map(({ message }) => message)).toEqual([
			"model.onnx was not verified: an operator is missing",
			"the training diverged; the best result before that was kept",
			"not trained: Custom at node 7",
		]);
	});
});

describe("the_summary", () => {
	it("has_a_row_for_each_model", () => {
		expect(summaryMarkdown([BUILT, MISSED]).split("\n").slice(2)).toEqual([
			"| model | state | outcome | perplexity | KL, nats |",
			"| --- | --- | --- | --- | --- |",
			"| small | built | model.onnx (2.00 MB) → small.onnx (1.00 MB), 50.0 % smaller (new) | 10.00 → 11.00 | 0.0123 |",
			"| small | gate missed | perplexity rose by 7 %; nothing was written |  |  |",
			"",
			"",
		]);
	});

	it("keeps_names_in_their_cells", () => {
		const [row] = summaryMarkdown([{ ...MISSED, name: "a|b\n*c*" }])
			.split("\n")
			.slice(4);
		expect(row).toMatch(/^\| a\\\|b \\\*c\\\* \| gate missed/);
	});
});
