// JSON Schemas made from the TypeScript types, as they are published in schemas/ (npm run schemas writes them).
import path from "node:path";
import { createGenerator, type Schema } from "ts-json-schema-generator";

const ROOT = path.resolve(import.meta.dirname, "..");

/** @param open objects may have further keys: what a later version adds does not make its reports invalid */
export function schemaOf(file: string, type: string, open: boolean): Schema {
	const generator = createGenerator({
		path: path.join(ROOT, file),
		tsconfig: path.join(ROOT, "tsconfig.build.json"),
		type,
		additionalProperties: open,
		skipTypeCheck: true,
		sortProps: false,
	});
	return withoutNumbers(generator.createSchema(type));
}

/** What is measured on a result: broken weights may make it infinite or no number, and JSON then says null. */
const MEASURED: ReadonlySet<string> = new Set(["VerificationReport", "CurvePoint", "Distillation", "TokenScores", "StatesReport"]);

function withoutNumbers(schema: Schema): Schema {
	const definitions = Object.entries(schema.definitions ?? {});
	const nullable = (value: unknown): unknown => {
		if (Array.isArray(value)) return value.map(nullable);
		if (typeof value !== "object" || value === null) return value;
		return Object.fromEntries(
			Object.entries(value).map(([key, inner]) => [key, key === "type" && inner === "number" ? ["number", "null"] : nullable(inner)]),
		);
	};
	return {
		...schema,
		definitions: Object.fromEntries(definitions.map(([name, own]) => [name, MEASURED.has(name) ? (nullable(own) as Schema) : own])),
	};
}

export const PUBLISHED = [
	{ name: "report.schema.json", file: "src/report/any.ts", type: "Report", open: true },
	{ name: "config.schema.json", file: "src/build/config.ts", type: "DistembConfig", open: false },
] as const;
