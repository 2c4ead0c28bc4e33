// Reports as JSON: those of real runs fit the published schema, and a run done twice gives the same one apart from times.
import { readFileSync } from "node:fs";
import path from "node:path";
import { Ajv } from "ajv";
import { beforeAll, describe, expect, it } from "vitest";
import { build, type CompileReport, compare, compile, inspect, plan } from "../src/index.js";
import { PUBLISHED, schemaOf } from "./schemas.js";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const MODEL = path.join(FIXTURES, "patterns/p01-matmul-transposed-twin.onnx");
const SOTU = path.join(FIXTURES, "sotu-lm/model.onnx");
const VALID = path.join(FIXTURES, "sotu-lm/valid.npy");
const work = temporaryFolder();
const inWork = (name: string) => path.join(work, name);

/** As a program reads it. */
const asJson = (report: unknown): unknown => JSON.parse(JSON.stringify(report));

/** Problems of a report: `open` by the published schema; closed, a key that the schema does not know is one, too. */
function validator(schema: object) {
	const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile({ ...schema });
	return (report: unknown) =>
		validate(asJson(report)) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const published: object = JSON.parse(readFileSync(path.resolve(import.meta.dirname, "../schemas/report.schema.json"), "utf8"));
const problems = validator(published);
const of = (kind: string) => validator({ ...published, $ref: `#/definitions/${kind}` });
let strictly: ReturnType<typeof validator>;
let trained: CompileReport;

const TRAINING = { rank: 16, steps: 4, batch: 2, length: 16, train: "factors", threads: 1, data: [VALID] } as const;

beforeAll(async () => {
	const [{ file, type }] = PUBLISHED;
	strictly = validator(schemaOf(file, type, false));
	trained = await compile(SOTU, inWork("small.onnx"), { ...TRAINING, report: inWork("report.html") });
}, 180_000);

describe("the_schema_fits_the_report_of", () => {
	/** Of its own kind: an inspection is part of a conversion. */
	const fits = (report: unknown, kind: string) => {
		expect([problems(report), of(kind)(report), strictly(report)]).toEqual([[], [], []]);
	};

	it("a_training_with_data_and_a_page", () => {
		expect(trained.training?.curve.length).toBeGreaterThan(1);
		expect(trained.details).toBeDefined();
		fits(trained, "CompileReport");
	});

	it("a_conversion_without_data_and_a_dry_run", async () => {
		fits(await compile(MODEL, inWork("plain.onnx"), { rank: 4, method: "svd" }), "CompileReport");
		fits(await compile(MODEL, inWork("dry.onnx"), { rank: 4, dryRun: true }), "CompileReport");
	});

	it("inspect", async () => fits(await inspect(path.join(FIXTURES, "patterns/decoy-position-table.onnx")), "InspectReport"));

	it("plan", async () => fits(await plan(MODEL, { ratios: [2, 1000] }), "PlanReport"));

	it("compare", async () => {
		fits(await compare(SOTU, inWork("small.onnx"), { data: [VALID], tokens: 200, footprint: false, threads: 1 }), "CompareReport");
	});

	it("build", async () => {
		const small = { input: MODEL, output: inWork("built.onnx"), rank: 4, method: "svd" } as const;
		const config = { models: { small, missing: { ...small, input: "nowhere.onnx", output: "missing.onnx" } } };
		fits(await build(config), "BuildReport");
		fits(await build(config), "BuildReport");
	});
});

describe("the_schema_refuses", () => {
	it.each<[string, (report: CompileReport) => object]>([
		["a_number_that_is_none", (report) => ({ ...report, savedBytes: Number.NaN })],
		["another_version", (report) => ({ ...report, version: 2 })],
		["factors_without_a_rank", (report) => ({ ...report, factors: report.factors.map(({ rank: _, ...rest }) => rest) })],
	])("%s", (_, broken) => {
		expect(of("CompileReport")(broken(trained))).not.toEqual([]);
	});

	it("no_measure_of_a_result_that_is_not_finite", () => {
		const worst = { file: "model.onnx", ran: true, outputs: [] };
		const output = { output: "logits", inputs: "ids", shape: [1], maxDifference: Number.POSITIVE_INFINITY, relativeDifference: Number.NaN };
		const report = { ...trained, verification: [{ ...worst, outputs: [output] }] };
		expect(of("CompileReport")(report)).toEqual([]);
	});

	it("a_key_that_no_type_has_where_it_is_closed", () => {
		expect(problems({ ...trained, added: 1 })).toEqual([]);
		expect(strictly({ ...trained, added: 1 })).not.toEqual([]);
	});
});

describe("the_same_run_twice", () => {
	/** What a clock says, and nothing else, may differ. */
	const TIMES: ReadonlySet<string> = new Set(["milliseconds", "seconds"]);
	const timeless = (report: unknown): unknown => JSON.parse(JSON.stringify(report, (key, value: unknown) => (TIMES.has(key) ? 0 : value)));

	it("gives_the_same_bytes_and_the_same_report_apart_from_times", async () => {
		const before = readFileSync(inWork("small.onnx"));
		const again = await compile(SOTU, inWork("small.onnx"), { ...TRAINING, report: inWork("report.html"), overwrite: true });
		expect(readFileSync(inWork("small.onnx")).equals(before)).toBe(true);
		const { overwrite: _, ...options } = again.options;
		// The second run reads the calibration that the first one kept, and its log says so.
		const logless = (report: CompileReport) => ({ ...report, passes: report.passes.map(({ name }) => name) });
		expect(timeless(logless({ ...again, options }))).toEqual(timeless(logless(trained)));
	}, 180_000);
});
