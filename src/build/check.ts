// Checks a configuration once, at the border: its shape by the published JSON Schema, then what its options say together.
import { createRequire } from "node:module";
import path from "node:path";
import type { AnySchemaObject, ErrorObject, SchemaObject } from "ajv";
import { closest, distance } from "fastest-levenshtein";
import { checkOptions } from "../check-options.js";
import { DistembError } from "../errors.js";
import { TOOL } from "../version.js";
import type { DistembConfig } from "./config.js";
import { compileOptionsOf } from "./planned.js";

/**
 * @param at the configuration's file, for messages
 * @throws DistembError `usage` that names the model and the key
 */
export async function checkConfig(config: unknown, at?: string): Promise<DistembConfig> {
	const fail = (message: string, hint?: string) => new DistembError("usage", message, { at, hint });
	const schema: SchemaObject = createRequire(import.meta.url)(`${TOOL.name}/config.schema.json`);
	// Loaded only here: single conversions do without.
	const { Ajv } = await import("ajv");
	const ajv = new Ajv({ verbose: true, allowUnionTypes: true });
	const validate = ajv.compile<DistembConfig>(schema);
	if (!validate(config)) {
		// Of a value that fits none of several forms, the last error is the one about all of them.
		const { message, hint } = problemOf(validate.errors?.at(-1));
		throw fail(message, hint);
	}
	const models = Object.entries(config.models);
	if (models.length === 0) throw fail("models is empty", "name a model, with its input and output");
	const outputs = new Map<string, string>();
	for (const [name, model] of models) {
		try {
			checkOptions(compileOptionsOf(model, ""));
		} catch (error) {
			throw error instanceof DistembError ? fail(`models.${name}: ${error.message}`, error.hint) : error;
		}
		const output = path.resolve(model.output);
		const other = outputs.get(output);
		if (other !== undefined) throw fail(`models.${other} and models.${name} have the same output`, "name another one");
		outputs.set(output, name);
	}
	return config;
}

interface Problem {
	readonly message: string;
	readonly hint?: string | undefined;
}

function problemOf(error: ErrorObject | undefined): Problem {
	if (error === undefined) return { message: "is no configuration" };
	const where = placeOf(error.instancePath);
	const { keyword, params, parentSchema = {} } = error;
	if (keyword === "required") return { message: `${where} has no "${params.missingProperty}"` };
	if (keyword === "additionalProperties") {
		const key = String(params.additionalProperty);
		return { message: `unknown key "${key}" in ${where}`, hint: suggestion(key, Object.keys(parentSchema.properties ?? {})) };
	}
	return { message: `${where} must be ${describe(parentSchema)}, not ${JSON.stringify(error.data)}` };
}

/** `/models/small/data/0` → `models.small.data[0]`. */
function placeOf(pointer: string): string {
	const keys = pointer.split("/").slice(1);
	const names = keys.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
	const place = names.map((name, index) => (/^\d+$/.test(name) ? `[${name}]` : `${index === 0 ? "" : "."}${name}`)).join("");
	return place === "" ? "the configuration" : place;
}

function suggestion(key: string, known: readonly string[]): string {
	const nearest = known.length === 0 ? "" : closest(key, known);
	const isNear = distance(key, nearest) <= Math.max(2, key.length / 3);
	return isNear ? `did you mean "${nearest}"?` : `known are ${known.join(", ")}`;
}

/** What a schema allows, in words. */
function describe(schema: AnySchemaObject): string {
	if (schema.const !== undefined) return JSON.stringify(schema.const);
	if (Array.isArray(schema.enum)) return alternatives(schema.enum.map((value) => JSON.stringify(value)));
	if (Array.isArray(schema.anyOf)) return alternatives(schema.anyOf.map(describe));
	const types: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
	return alternatives(types.map((type) => WORDS[String(type)] ?? String(type)));
}

const WORDS: Readonly<Record<string, string>> = {
	...{ number: "a number", string: "a text", boolean: "true or false", object: "an object", array: "a list" },
};

function alternatives(words: readonly string[]): string {
	return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
