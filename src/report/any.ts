// Every report that --json can write: what the published JSON Schema (schemas/report.schema.json) describes.
import type { BuildReport } from "./build.js";
import type { CompareReport } from "./compare.js";
import type { PlanReport } from "./plan.js";
import type { CompileReport, InspectReport } from "./report.js";

/** Of the commands compile, build, inspect, plan and compare, in this order. */
export type Report = CompileReport | BuildReport | InspectReport | PlanReport | CompareReport;
