// The public API, nothing else.
export { type DistembConfig, defineConfig, type ModelConfig } from "./build/config.js";
export { type LoadedConfig, loadConfig } from "./build/load.js";
export { type BuildOptions, type BuildProgress, build } from "./build.js";
export type { CompareOptions } from "./compare/options.js";
export { compare } from "./compare.js";
export { compile, inspect, plan } from "./compile.js";
export { DistembError, type ErrorCode, EXIT_CODES } from "./errors.js";
export type {
	CommonOptions,
	CompileOptions,
	FactorDType,
	LocateOptions,
	Method,
	OperatorSet,
	PlanOptions,
	SizeOptions,
} from "./options.js";
export type { Progress } from "./pass.js";
export type { BuildReport, BuiltModel, FailureReport } from "./report/build.js";
export type { CompareReport, TokenScores, TokensReport, TranslationReport } from "./report/compare.js";
export type { PlannedSize, PlannedTable, PlanReport } from "./report/plan.js";
export type {
	BlockReport,
	CompileReport,
	FactorReport,
	InspectReport,
	RejectedReport,
	UseReport,
	VerificationReport,
	VocabularyReport,
} from "./report/report.js";
