// The child processes of footprint.ts: measure one model, or start a process that does; answer, end.
import { openSession } from "../runtime/session.js";
import { type Footprint, type FootprintAnswer, type FootprintRequest, footprintBelow, footprintHere, RELAY } from "./footprint.js";

const isRelay = process.argv[2] === RELAY;

async function footprintWithMemory(request: FootprintRequest): Promise<Footprint> {
	// Loads the engine, which is not the model's memory. There is no such model; only the attempt counts.
	await openSession(new Uint8Array(0), { threads: 1 }).catch(() => undefined);
	const before = process.memoryUsage.rss();
	const footprint = await footprintHere(request);
	// maxRSS is in kilobytes.
	return { ...footprint, peakBytes: Math.max(0, process.resourceUsage().maxRSS * 1024 - before) };
}

process.once("message", async (request: FootprintRequest) => {
	let answer: FootprintAnswer;
	try {
		answer = { footprint: await (isRelay ? footprintBelow(request) : footprintWithMemory(request)) };
	} catch (error) {
		answer = { failure: error instanceof Error ? error.message : String(error) };
	}
	process.send?.(answer, () => process.disconnect());
});

// Without whoever asked there is nothing left to do.
process.once("disconnect", () => process.exit());
