// The report of `build`: what became of each model; as an object and as text.
import { DistembError, type ErrorCode, EXIT_CODES } from "../errors.js";
import type { CompileReport } from "./report.js";
import { tableLines } from "./table.js";
import { changeText } from "./text.js";

/** Raised when a field changes its meaning; additions do not raise it. */
export const BUILD_REPORT_VERSION = 1;

/** A {@link DistembError} as data. */
export interface FailureReport {
	readonly code: ErrorCode;
	readonly message: string;
	/** File, node, tensor or option that is concerned. */
	readonly at?: string;
	readonly hint?: string;
}

/** Built now; as an earlier build left it, with the report of that; or not built. */
export type BuiltModel = { readonly name: string; readonly input: string; readonly output: string } & (
	| {
			readonly status: "built";
			/** Why it was not up to date. */
			readonly reason: string;
			readonly report: CompileReport;
	  }
	| { readonly status: "up-to-date"; readonly report: CompileReport }
	| { readonly status: "failed"; readonly error: FailureReport }
);

/** What `build` did with each model. */
export interface BuildReport {
	readonly version: typeof BUILD_REPORT_VERSION;
	readonly tool: { readonly name: string; readonly version: string };
	/** In the configuration's order. */
	readonly models: readonly BuiltModel[];
}

/** What `build` prints: a line for each model. */
export function buildText({ models }: BuildReport): string {
	const rows = models.map((model) => [model.name, stateText(model), outcomeText(model)]);
	return tableLines(rows, ["left", "left", "left"]).join("\n");
}

/** `built`, `up to date`, `gate missed`, … */
export function stateText(model: BuiltModel): string {
	if (model.status !== "failed") return model.status === "built" ? "built" : "up to date";
	const { code } = model.error;
	return code === "gate" ? "gate missed" : code === "nothing-to-do" ? "nothing to do" : "failed";
}

/** Sizes, or what went wrong, on one line. */
export function outcomeText(model: BuiltModel): string {
	if (model.status === "failed") return failureText(model.error);
	return model.status === "built" ? `${changeText(model.report)} (${model.reason})` : changeText(model.report);
}

export function failureText({ code, message, at, hint }: FailureReport): string {
	return new DistembError(code, message, { at, hint }).toLine();
}

/** Exit codes of models that failed, what matters most first: input or engine, usage, gate, nothing to do. */
const GRAVITY = [1, 2, 3, 4] as const;

/** 0 if every model is there; else the gravest model's code, see the README. */
export function exitCodeOf({ models }: BuildReport): number {
	const codes = models.flatMap((model) => (model.status === "failed" ? EXIT_CODES[model.error.code] : []));
	return GRAVITY.find((code) => codes.includes(code)) ?? 0;
}
