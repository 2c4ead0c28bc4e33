// The public API, nothing else.
export { type DistembConfig, defineConfig, type ModelConfig } from "./build/config.js";
export { type LoadedConfig, loadConfig } from "./build/load.js";
export { type BuildOptions, type BuildProgress, build } from "./build.js";
export type { CompareOptions } from "./compare/options.js";
export { compare } from "./compare.js";
export { compile, inspect, plan } from "./compile.js";
export { DistembError, type ErrorCode, type ErrorDetails, EXIT_CODES } from "./errors.js";
export type {
	CommonOptions,
	CompileOptions,
	DataOptions,
	FactorDType,
	GateOptions,
	LocateOptions,
	LossWeights,
	Method,
	OperatorSet,
	PlanOptions,
	ReportedOption,
	SizeOptions,
	Trained,
	TrainingOptions,
	TrainingPhase,
} from "./options.js";
export type { Progress } from "./pass.js";
export type { BuildReport, BuiltModel, FailureReport } from "./report/build.js";
export type {
	BinName,
	ComparedKind,
	ComparedModel,
	CompareReport,
	StatesReport,
	TokenScores,
	TokensReport,
	TranslationReport,
	TranslationScoresReport,
} from "./report/compare.js";
export type {
	CodingDetails,
	DamageReport,
	DetailsReport,
	Known,
	Neighbour,
	NeighboursReport,
	PartReport,
	SampleReport,
	SamplesReport,
	TableDetails,
	TokenName,
} from "./report/details.js";
export type { FlowReport, GraphReport, OperatorCount, StepReport, TensorReport } from "./report/flow.js";
export type { PlannedRival, PlannedSize, PlannedTable, PlanReport } from "./report/plan.js";
export type {
	BlockReport,
	CompileReport,
	FactorReport,
	InspectReport,
	QualityReport,
	RejectedReport,
	SidesReport,
	UseReport,
	VerificationReport,
	VocabularyReport,
} from "./report/report.js";
export type { CurvePoint, Distillation, Side } from "./state.js";
