// One model in the engine: opened, run, closed. The only wrapper of onnxruntime-node; nothing it does prints.
import type * as ort from "onnxruntime-node";
import { DistembError } from "../errors.js";
import { type Engine, engineError, loadEngine, tensorsOf } from "./engine.js";

/** Element types that tensors of the engine can have in Node. */
export type EngineType = ort.Tensor.Type;

/** Elements, row-major. float16 is its bits in a Uint16Array, bool is bytes 0 and 1. */
export type EngineData =
	| Float32Array
	| Float64Array
	| Uint8Array
	| Int8Array
	| Uint16Array
	| Int16Array
	| Uint32Array
	| Int32Array
	| BigInt64Array
	| BigUint64Array
	| readonly string[];

/** A tensor that goes into the engine or comes out of it. The data is never copied on the way. */
export interface EngineTensor {
	readonly dtype: EngineType;
	readonly dims: readonly number[];
	readonly data: EngineData;
}

/** What the engine knows of an input or output; sequences, maps and optionals have no type. */
export interface EngineValue {
	readonly name: string;
	readonly dtype: EngineType | undefined;
	/** A number, a symbol, or an empty string where the size is unknown. */
	readonly shape: readonly (number | string)[] | undefined;
}

export type Feeds = Readonly<Record<string, EngineTensor>>;

/** Names of the outputs wanted, or tensors that the engine writes into. */
export type Fetches = readonly string[] | Feeds;

export type Spinning = "always" | "briefly" | "never";

export interface SessionOptions {
	/** Threads within one operator. */
	readonly threads: number;
	/** Graph optimizations of the engine; "all" by default, as users of the model have it. */
	readonly optimization?: "disabled" | "basic" | "extended" | "all";
	/** Where the engine writes its optimized form of the model. */
	readonly saveOptimizedTo?: string;
	/** Sizes for symbols of the graph's inputs. */
	readonly sizes?: Readonly<Record<string, number>>;
	/** Keep freed memory for the next run (true by default); false returns it to the system sooner. */
	readonly arena?: boolean;
	/** Nothing is computed or packed in advance: no second form of a weight is held, and a mapped one is not copied. Runs are slower. */
	readonly lean?: boolean;
	/**
	 * How threads wait that have nothing to do. "always" (the engine's default): by spinning, which is fastest for one session that is run
	 * again and again. "briefly": by spinning for 100 µs, about as long as the gaps within a run, so that another session, or JavaScript,
	 * has the cores after it. "never": asleep.
	 */
	readonly spinning?: Spinning;
	/** Folder of the external data of a model given as bytes. */
	readonly dataFolder?: string;
	/** What messages call the model; its path by default. */
	readonly at?: string;
}

export interface Session {
	readonly inputs: readonly EngineValue[];
	readonly outputs: readonly EngineValue[];
	/**
	 * Runs the model once. Without `fetches` every output that is a tensor is returned.
	 * @throws DistembError `engine`, with the engine's own message.
	 */
	run(feeds: Feeds, fetches?: Fetches): Promise<Feeds>;
	/** Frees the engine's memory. A second call does nothing. */
	close(): Promise<void>;
}

/**
 * Opens a model: a path (external data is found beside it) or the bytes of a model, whose external data lies in `dataFolder`.
 * @throws DistembError `engine`: the engine is not installed, refuses the model, or runs out of memory.
 */
export async function openSession(model: string | Uint8Array, options: SessionOptions): Promise<Session> {
	const at = options.at ?? (typeof model === "string" ? model : undefined);
	const engine = await loadEngine();
	try {
		const settings = settingsOf(options);
		const session =
			typeof model === "string"
				? await engine.InferenceSession.create(model, settings)
				: await engine.InferenceSession.create(model, settings);
		return new EngineSession(engine, session, at);
	} catch (cause) {
		throw engineError("onnxruntime cannot load the model", cause, at);
	}
}

function settingsOf(options: SessionOptions): ort.InferenceSession.SessionOptions {
	const { lean = false, spinning = "always", dataFolder } = options;
	const session = {
		...(spinning === "briefly" ? { "intra_op.spin_duration_us": "100" } : {}),
		...(spinning === "never" ? { "intra_op.allow_spinning": "0" } : {}),
		...(lean ? { disable_prepacking: "1" } : {}),
		...(dataFolder === undefined ? {} : { model_external_initializers_file_folder_path: dataFolder }),
	};
	return {
		executionProviders: ["cpu"],
		intraOpNumThreads: options.threads,
		interOpNumThreads: 1,
		graphOptimizationLevel: options.optimization ?? "all",
		enableCpuMemArena: options.arena ?? true,
		logSeverityLevel: 4,
		extra: { session, ...(lean ? { optimization: { disable_specified_optimizers: "ConstantFolding" } } : {}) },
		...(options.saveOptimizedTo === undefined ? {} : { optimizedModelFilePath: options.saveOptimizedTo }),
		...(options.sizes === undefined ? {} : { freeDimensionOverrides: options.sizes }),
	};
}

class EngineSession implements Session {
	readonly inputs: readonly EngineValue[];
	readonly outputs: readonly EngineValue[];
	private readonly engine: Engine;
	private readonly at: string | undefined;
	private session: ort.InferenceSession | undefined;

	constructor(engine: Engine, session: ort.InferenceSession, at: string | undefined) {
		this.engine = engine;
		this.session = session;
		this.at = at;
		this.inputs = session.inputMetadata.map(describe);
		this.outputs = session.outputMetadata.map(describe);
	}

	async run(feeds: Feeds, fetches: Fetches = this.tensorOutputs()): Promise<Feeds> {
		if (this.session === undefined) throw new DistembError("internal", "a closed session was run", { at: this.at });
		const found: Record<string, EngineTensor> = {};
		try {
			const wanted = isNames(fetches) ? fetches : tensorsOf(fetches, this.engine);
			const results = await this.session.run(tensorsOf(feeds, this.engine), wanted, { logSeverityLevel: 4 });
			for (const [name, result] of Object.entries(results)) found[name] = fromEngine(result);
		} catch (cause) {
			throw engineError("onnxruntime cannot run the model", cause, this.at);
		}
		return isNames(fetches) ? found : { ...found, ...fetches };
	}

	async close(): Promise<void> {
		const { session } = this;
		this.session = undefined;
		await session?.release();
	}

	private tensorOutputs(): string[] {
		return this.outputs.flatMap(({ name, dtype }) => (dtype === undefined ? [] : [name]));
	}
}

function isNames(fetches: Fetches): fetches is readonly string[] {
	return Array.isArray(fetches);
}

function describe(metadata: ort.InferenceSession.ValueMetadata): EngineValue {
	const { name } = metadata;
	return metadata.isTensor ? { name, dtype: metadata.type, shape: metadata.shape } : { name, dtype: undefined, shape: undefined };
}

function fromEngine({ type, dims, data }: ort.Tensor): EngineTensor {
	// Newer Node versions hand float16 over as Float16Array; here it is always its bits.
	const isBits = type !== "float16" || data instanceof Uint16Array || !ArrayBuffer.isView(data);
	return { dtype: type, dims, data: isBits ? (data as EngineData) : new Uint16Array(data.buffer, data.byteOffset, data.length) };
}
