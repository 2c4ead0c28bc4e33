// The published JSON Schemas are those of the types.
import { describe, expect, it } from "vitest";
import { PUBLISHED, schemaOf } from "./schemas.js";

describe("schemas", () => {
	it.each(PUBLISHED)("$name: is_made_from_the_types", async ({ name, file, type, open }) => {
		const text = `${JSON.stringify(schemaOf(file, type, open), null, "\t")}\n`;
		// Written by `npm run schemas`; in any other run a difference is a failure.
		await expect(text).toMatchFileSnapshot(`../schemas/${name}`);
	});
});
