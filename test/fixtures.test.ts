// Every committed fixture, judged as a zoo: found as the manifest says, equal at full rank, smaller by the predicted bytes at low rank.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { judge } from "./zoo/judge.js";
import { readManifest } from "./zoo/manifest.js";

const FIXTURES = path.resolve(import.meta.dirname, "../fixtures");

describe("fixtures", () => {
	it.each(readManifest(FIXTURES).map((entry) => [entry.path, entry.expect, entry] as const))("%s: %s", async (_path, _expect, entry) => {
		expect(await judge(FIXTURES, entry)).toBeUndefined();
	});
});
