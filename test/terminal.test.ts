// Progress where there is no terminal: few lines, and none twice.
import { describe, expect, it } from "vitest";
import { plainLines } from "../src/terminal.js";

describe("plain lines", () => {
	it("a_pass_shows_its_name_its_first_news_and_then_news_every_ten_seconds", () => {
		const lines: string[] = [];
		let seconds = 0;
		const display = plainLines({ write: (text: string | Uint8Array) => lines.push(String(text)) > 0 }, () => 1000 * seconds);
		display.show({ pass: "locate", fraction: 0 });
		display.show({ pass: "locate", fraction: 1 });
		for (; seconds < 25; seconds += 0.5) display.show({ pass: "distill", fraction: seconds / 25, note: `loss ${seconds}` });
		expect(lines.join("")).toBe("locate\ndistill\ndistill 0 %: loss 0\ndistill 40 %: loss 10\ndistill 80 %: loss 20\n");
	});
});
