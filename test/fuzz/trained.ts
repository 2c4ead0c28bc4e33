// A training of a tiny model that was interrupted: what `--resume` goes on from.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { compile, DistembError } from "../../src/index.js";
import { TRAINING } from "./act.js";

const MODEL = path.resolve(import.meta.dirname, "../../../fixtures/patterns/p02-transpose.onnx");

/** Puts a model, its data and a checkpoint into `folder`; returns the checkpoint. */
export async function trainedFolder(folder: string): Promise<Uint8Array> {
	const model = path.join(folder, "model.onnx");
	const data = path.join(folder, "data.jsonl");
	copyFileSync(MODEL, model);
	const lines = Array.from({ length: 60 }, (_, line) =>
		JSON.stringify(Array.from({ length: 16 }, (_, index) => (line * 7 + index * 3) % 40)),
	);
	writeFileSync(data, lines.join("\n"));
	const abort = new AbortController();
	const out = path.join(folder, "small.onnx");
	try {
		await compile(model, out, {
			...TRAINING,
			data: [data],
			signal: abort.signal,
			onProgress: ({ pass, fraction }) => {
				if (pass === "distill" && fraction > 0.3) abort.abort();
			},
		});
		throw new Error("the training was not interrupted");
	} catch (error) {
		if (!(error instanceof DistembError && error.code === "interrupted")) throw error;
	}
	const file = path.join(folder, "checkpoint.safetensors");
	copyFileSync(path.join(`${out}.checkpoint`, "checkpoint.safetensors"), file);
	return Uint8Array.from(readFileSync(file));
}
