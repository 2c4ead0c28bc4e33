// The child process of footprint.ts: measures one model, answers, ends.
import { openSession } from "../runtime/session.js";
import { type FootprintAnswer, type FootprintRequest, footprintHere } from "./footprint.js";

process.once("message", async (request: FootprintRequest) => {
	let answer: FootprintAnswer;
	try {
		// Loads the engine, which is not the model's memory. There is no such model; only the attempt counts.
		await openSession(new Uint8Array(0), { threads: 1 }).catch(() => undefined);
		const before = process.memoryUsage.rss();
		const footprint = await footprintHere(request);
		// maxRSS is in kilobytes.
		const peakBytes = Math.max(0, process.resourceUsage().maxRSS * 1024 - before);
		answer = { footprint: { ...footprint, peakBytes } };
	} catch (error) {
		answer = { failure: error instanceof Error ? error.message : String(error) };
	}
	process.send?.(answer, () => process.disconnect());
});
