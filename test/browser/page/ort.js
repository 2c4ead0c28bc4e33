// The page's side of ../engine.ts: onnxruntime-web's WASM backend, without a bundler.
import * as ort from "/ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = 1;

const sessions = new Map();
const ARRAYS = {
	bool: Uint8Array,
	float16: globalThis.Float16Array ?? Uint16Array,
	float32: Float32Array,
	int32: Int32Array,
	int64: BigInt64Array,
};

function tensorOf({ dtype, dims, values }) {
	const Kind = ARRAYS[dtype];
	return new ort.Tensor(dtype, dtype === "int64" ? Kind.from(values, BigInt) : Kind.from(values), dims);
}

const feedsOf = (described) => Object.fromEntries(Object.entries(described).map(([name, tensor]) => [name, tensorOf(tensor)]));

globalThis.engine = {
	/** Opens a model; returns milliseconds. External data: `{ path, url }` for each file. */
	async open(key, url, externalData = []) {
		const fetched = await Promise.all(externalData.map(async ({ path, url }) => ({ path, data: await bytesAt(url) })));
		const bytes = await bytesAt(url);
		const start = performance.now();
		sessions.set(key, await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], externalData: fetched }));
		return performance.now() - start;
	},

	/** Runs a model; returns the named outputs as plain numbers. */
	async run(key, feeds, names) {
		const outputs = await sessions.get(key).run(feedsOf(feeds), names);
		return Object.fromEntries(names.map((name) => [name, { dims: outputs[name].dims, values: Array.from(outputs[name].data, Number) }]));
	},

	/** Milliseconds of each of `rounds` runs, after two that are not counted. */
	async time(key, feeds, rounds) {
		const session = sessions.get(key);
		const tensors = feedsOf(feeds);
		const times = [];
		for (let round = -2; round < rounds; round++) {
			const start = performance.now();
			await session.run(tensors);
			if (round >= 0) times.push(performance.now() - start);
		}
		return times;
	},

	/** Peak bytes of WebAssembly memory. */
	bytes: () => globalThis.wasmBytes(),

	async close(key) {
		await sessions.get(key).release();
		sessions.delete(key);
	},
};

async function bytesAt(url) {
	const response = await fetch(url);
	if (!response.ok) throw new Error(`${url}: ${response.status}`);
	return new Uint8Array(await response.arrayBuffer());
}
