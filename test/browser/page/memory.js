// Remembers the WebAssembly memories that the engine makes; they grow and never shrink, so that their size is the peak.
const memories = [];
const Original = WebAssembly.Memory;
WebAssembly.Memory = class extends Original {
	constructor(descriptor) {
		super(descriptor);
		memories.push(this);
	}
};
const instantiate = WebAssembly.instantiate.bind(WebAssembly);
const remember = (instance) => {
	for (const value of Object.values(instance.exports)) if (value instanceof Original && !memories.includes(value)) memories.push(value);
};
WebAssembly.instantiate = async (...args) => {
	const result = await instantiate(...args);
	remember(result.instance ?? result);
	return result;
};
const streaming = WebAssembly.instantiateStreaming?.bind(WebAssembly);
if (streaming !== undefined) {
	WebAssembly.instantiateStreaming = async (...args) => {
		const result = await streaming(...args);
		remember(result.instance);
		return result;
	};
}

/** Bytes of all WebAssembly memories of this page. */
globalThis.wasmBytes = () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
