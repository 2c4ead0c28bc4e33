// The public API, nothing else.
export { compile, inspect } from "./compile.js";
export { DistembError, type ErrorCode, EXIT_CODES } from "./errors.js";
export type { CommonOptions, CompileOptions, FactorDType, LocateOptions, Method, OperatorSet, SizeOptions } from "./options.js";
export type { Progress } from "./pass.js";
export type {
	CompileReport,
	FactorReport,
	InspectReport,
	RejectedReport,
	UseReport,
	VerificationReport,
	VocabularyReport,
} from "./report/report.js";
