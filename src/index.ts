// The public API, nothing else.
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
