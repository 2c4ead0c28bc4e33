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
	return generator.createSchema(type);
}

export const PUBLISHED = [
	{ name: "report.schema.json", file: "src/report/any.ts", type: "Report", open: true },
	{ name: "config.schema.json", file: "src/build/config.ts", type: "DistembConfig", open: false },
] as const;
