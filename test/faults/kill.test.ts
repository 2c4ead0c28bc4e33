// A few kills of each kind; `npm run test:kill` does as many as wanted.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/models.js";
import { KINDS, killAtRandom, randomFrom } from "./kill.js";

const TIMES = 4;

describe("a kill at any moment", () => {
	it.each(KINDS)(
		"of_a_%s_leaves_the_input_as_it_was_and_the_output_absent_or_whole_for_a_next_run_to_go_on",
		async (kind) => {
			const { kills, problems } = await killAtRandom(kind, TIMES, randomFrom(7));
			expect(problems).toEqual([]);
			expect(kills).toBe(TIMES);
		},
		600_000,
	);

	it("that_meets_a_program_which_writes_in_place_is_told_from_one_that_does_not", async () => {
		const program = path.join(temporaryFolder(), "naive.mjs");
		writeFileSync(
			program,
			`import { appendFileSync, writeFileSync } from "node:fs";
			const [input, output] = process.argv.slice(2);
			process.stderr.write("write\\n");
			writeFileSync(output, "");
			for (let part = 0; part < 20; part++) {
				appendFileSync(output, String(part));
				await new Promise((resolve) => setTimeout(resolve, 20));
			}`,
		);
		const { problems } = await killAtRandom("conversion", 4, randomFrom(7), program);
		expect(problems.join()).toMatch(/killed during write: the output is neither absent nor whole/);
	});
});
