// Results for GitHub Actions: annotations as workflow commands, and the job's summary as Markdown.
import type { BuiltModel } from "./build.js";
import { outcomeText, stateText } from "./build.js";
import type { CompileReport } from "./report.js";

export interface Annotation {
	readonly level: "error" | "warning" | "notice";
	readonly title: string;
	readonly message: string;
	/** Relative to the repository. */
	readonly file?: string | undefined;
	readonly line?: number | undefined;
}

/**
 * `::error file=…,title=…::message`, escaped as the runner takes it apart again: `%`, CR and LF everywhere, `:` and `,` in properties
 * (actions/toolkit, packages/core/src/command.ts).
 */
export function workflowCommand({ level, message, file, line, title }: Annotation): string {
	const given = Object.entries({ file, line, title }).filter(([, value]) => value !== undefined);
	const properties = given.map(([name, value]) => `${name}=${escapeData(String(value)).replaceAll(":", "%3A").replaceAll(",", "%2C")}`);
	return `::${level} ${properties.join(",")}::${escapeData(message)}`;
}

function escapeData(text: string): string {
	return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** A notice with the outcome, or an error at `file`; warnings of what a person should look at. */
export function annotationsOf(model: BuiltModel, file: string | undefined): Annotation[] {
	const title = `onnx-distemb: ${model.name}, ${stateText(model)}`;
	if (model.status === "failed") return [{ level: "error", title, message: outcomeText(model), file }];
	const warnings = warningsOf(model.report).map((message) => ({ level: "warning", title, message, file }) as const);
	return [...warnings, { level: "notice", title, message: outcomeText(model) }];
}

function warningsOf({ verification, training, warnings }: CompileReport): string[] {
	return [
		...verification
			.filter(({ ran }) => !ran)
			.map(({ file, reason }) => `${file} was not verified: ${reason ?? "the engine cannot run it"}`),
		...(training?.stopped === "diverged" ? ["the training diverged; the best result before that was kept"] : []),
		...warnings,
	];
}

/** A table with a row for each model, for the page of the job. */
export function summaryMarkdown(models: readonly BuiltModel[]): string {
	const rows = models.map((model) => {
		const tokens = model.status === "failed" ? undefined : model.report.quality?.tokens?.all;
		const perplexity = tokens && `${tokens.teacherPerplexity.toPrecision(4)} → ${tokens.studentPerplexity.toPrecision(4)}`;
		return [model.name, stateText(model), outcomeText(model), perplexity ?? "", tokens?.divergence.toPrecision(3) ?? ""];
	});
	const head = ["model", "state", "outcome", "perplexity", "KL, nats"];
	const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(" | ")} |`;
	return ["### onnx-distemb", "", line(head), line(head.map(() => "---")), ...rows.map(line), "", ""].join("\n");
}

/** Names and paths may hold anything; a cell must stay one, and plain text. */
function escapeCell(text: string): string {
	return text.replace(/\s+/g, " ").replace(/[\\|`*_<>[\]]/g, "\\$&");
}
