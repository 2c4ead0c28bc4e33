// What a conversion prints.
import { describe, expect, it } from "vitest";
import { compileText } from "../../src/report/text.js";
import { reportWith } from "./support.js";

describe("text", () => {
	it("warns_of_what_could_not_be_done_as_well_as_usual", () => {
		const lines = compileText(reportWith({ warnings: ["not calibrated on the text", "not trained: Custom at node 7"] })).split("\n");
		expect(lines.filter((line) => line.startsWith("warning"))).toEqual([
			"warning    not calibrated on the text",
			"warning    not trained: Custom at node 7",
		]);
		expect(compileText(reportWith())).not.toContain("warning");
	});
});
