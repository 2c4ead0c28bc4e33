// A language model, encoder or translator in the engine, whatever files it is made of: whole sequences, or step by step.
import { DistembError } from "../../errors.js";
import { type Feeds, openSession, type Session, type Spinning } from "../session.js";
import { asTimeMajor, type ChosenGraph, type ChosenGraphs, chooseGraphs } from "./choose.js";
import { Decoding } from "./decoding.js";
import { type Rows, type Source, stepFeeds } from "./feeds.js";
import { type Positions, positionsOf } from "./logits.js";
import { type GraphRoles, isRecurrentState } from "./roles.js";

/** `causal` predicts the next token, `masked` hidden ones, `translator` a translation; an `encoder` gives states. */
export type TextModelKind = "causal" | "masked" | "encoder" | "translator";

export interface TextModel {
	readonly kind: TextModelKind;
	/** Files used, relative to the model's folder. */
	readonly files: readonly string[];
	readonly unused: readonly string[];
	/** Of all model files and their data files. */
	readonly bytes: number;
	/** Time the engine took to open the graphs, in milliseconds. */
	readonly loadMilliseconds: number;
	/** Rows of the vocabulary that is predicted, or the width of the states. */
	readonly width: number;
	/** Ids and logits of its graph are [length, batch, …], whatever the methods here take and give. */
	readonly timeMajor: boolean;
	/** Rows of the tables that the ids index; undefined: unknown. */
	readonly tokenRows: number | undefined;
	readonly sourceRows: number | undefined;
	/** Decoding reads what earlier steps left, instead of running the whole prefix again. */
	readonly hasPast: boolean;
	/** It can write on: it predicts what comes next, and takes one text of any length. */
	readonly decodes: boolean;
	/** Sizes that the graph itself fixes. */
	readonly fixed: { readonly batch: number | undefined; readonly length: number | undefined; readonly source: number | undefined };
	/** Logits (or states) at each position of `tokens`. */
	forward(tokens: Rows, source?: Source): Promise<Positions>;
	/** The same, written into `target`, [batch, length, width]. Engines that give them so write them there themselves. */
	forwardInto(target: Float32Array, tokens: Rows, source?: Source): Promise<void>;
	/** What a translator's decoder reads of the source. */
	encode(source: Rows): Promise<Source>;
	/** Begins to decode: a state before the first token. */
	begin(source?: Source): Decoding;
	close(): Promise<void>;
}

export interface TextModelOptions {
	readonly threads: number;
	/** See {@link SessionOptions}. */
	readonly spinning?: Spinning;
	/** True: nothing will be decoded; a graph that only serves single steps is not opened. */
	readonly wholeSequences?: boolean;
}

/**
 * Opens an .onnx file or a folder with the files of one model.
 * @throws DistembError `input`, `refused` (no model that can be run on data) or `engine`, located at `input`
 */
export async function openTextModel(input: string, options: TextModelOptions): Promise<TextModel> {
	const { graphs, bytes } = chooseGraphs(input);
	try {
		return { ...(await openChosen(graphs, options)), bytes };
	} catch (error) {
		throw error instanceof DistembError ? error.located(input) : error;
	}
}

/** Opens graphs that were chosen before. */
export async function openChosen(chosen: ChosenGraphs, options: TextModelOptions): Promise<Omit<TextModel, "bytes">> {
	const { wholeSequences = false, threads, spinning = "always" } = options;
	const graphs = wholeSequences ? { ...chosen, step: undefined } : chosen;
	const sessions = new Map<string, Session>();
	const close = async () => {
		for (const session of sessions.values()) await session.close();
	};
	try {
		const start = performance.now();
		for (const graph of [graphs.encoder, graphs.full, graphs.step?.graph])
			if (graph !== undefined && !sessions.has(graph.path)) sessions.set(graph.path, await openSession(graph.path, { threads, spinning }));
		const loadMilliseconds = performance.now() - start;
		return { ...(await describeEitherWay(graphs, sessions)), loadMilliseconds, close };
	} catch (error) {
		await close();
		throw error;
	}
}

type Described = Omit<TextModel, "bytes" | "loadMilliseconds" | "close">;

/** Nothing says whether a recurrent model takes [batch, length] or [length, batch]; its state fits only one of them. */
async function describeEitherWay(graphs: ChosenGraphs, sessions: ReadonlyMap<string, Session>): Promise<Described> {
	try {
		return await describe(graphs, sessions);
	} catch (error) {
		const turned = asTimeMajor(graphs);
		if (turned === undefined || !(error instanceof DistembError && error.code === "engine")) throw error;
		return await describe(turned, sessions);
	}
}

async function describe(graphs: ChosenGraphs, sessions: ReadonlyMap<string, Session>): Promise<Described> {
	const { encoder, full, step } = graphs;
	const sessionOf = (graph: ChosenGraph): Session => {
		const session = sessions.get(graph.path);
		if (session === undefined) throw new DistembError("internal", "the graph is not open", { at: graph.name });
		return session;
	};
	const forward = async (tokens: Rows, source?: Source) => {
		const { output } = full.roles;
		const outputs = await sessionOf(full).run(stepFeeds(full.roles, { tokens, position: 0, source }), [output]);
		return positionsOf(outputOf(outputs, output), tokens, full.roles.timeMajor);
	};
	const write = writer(sessionOf(full), full.roles);
	const encode = async (rows: Rows): Promise<Source> => {
		if (encoder === undefined) return { rows, states: undefined };
		const { output } = encoder.roles;
		const outputs = await sessionOf(encoder).run(stepFeeds(encoder.roles, { tokens: rows, position: 0 }), [output]);
		return { rows, states: outputOf(outputs, output) };
	};
	const ports = full.roles.ports;
	const tokens = ports.find(({ role }) => role === "tokens");
	const sourcePort = (encoder?.roles.ports ?? ports).find(({ role }) => role === (encoder === undefined ? "source" : "tokens"));
	const state = ports.find(isRecurrentState);
	const fixed = {
		batch: fixedSize(state === undefined ? tokens?.axes[0] : state.axes[1]),
		length: fixedSize(tokens?.axes.at(-1)),
		source: fixedSize(sourcePort?.axes.at(-1)),
	};
	const { kind, width } = await probe(full, encoder !== undefined, fixed, forward, encode);
	const takesOneRow = fixed.batch === undefined && !(await takesTwoRows(kind, fixed, forward, encode));
	const used = [encoder, full, step?.graph].filter((graph) => graph !== undefined);
	return {
		kind,
		width,
		files: [...new Set(used.map(({ name }) => name))],
		unused: graphs.unused,
		timeMajor: full.roles.timeMajor,
		tokenRows: tokens?.bound,
		sourceRows: sourcePort?.bound,
		hasPast: step !== undefined,
		decodes: (kind === "causal" || kind === "translator") && (fixed.batch ?? 1) === 1 && (step !== undefined || fixed.length === undefined),
		fixed: takesOneRow ? { ...fixed, batch: 1 } : fixed,
		forward,
		forwardInto: (target, tokens, source) => write(target, tokens, stepFeeds(full.roles, { tokens, position: 0, source })),
		encode,
		begin: (source) => new Decoding({ full, step, sessionOf }, source),
	};
}

/**
 * Runs a graph and writes its output into a given array. The first run of each shape shows how the engine gives it; if that is
 * how the array wants it, later runs write there without a copy.
 */
function writer(session: Session, { output, timeMajor }: GraphRoles) {
	const direct = new Map<string, readonly number[]>();
	return async (target: Float32Array, tokens: Rows, feeds: Feeds): Promise<void> => {
		const shape = `${tokens.batch} ${tokens.length}`;
		const dims = direct.get(shape);
		if (dims !== undefined) {
			await session.run(feeds, { [output]: { dtype: "float32", dims, data: target } });
			return;
		}
		const tensor = outputOf(await session.run(feeds, [output]), output);
		const { count, width, at } = positionsOf(tensor, tokens, timeMajor);
		if (target.length !== count * width) throw new DistembError("internal", `${count} x ${width} numbers for ${target.length}`);
		for (let position = 0; position < count; position++) target.set(at(position), position * width);
		if (tensor.dtype === "float32" && !timeMajor) direct.set(shape, tensor.dims);
	};
}

const fixedSize = (size: unknown): number | undefined => (typeof size === "number" ? size : undefined);

function outputOf<T>(outputs: Readonly<Record<string, T>>, name: string): T {
	const tensor = outputs[name];
	if (tensor === undefined) throw new DistembError("internal", `the engine gave no "${name}"`);
	return tensor;
}

/** Tokens of the probe, where the graph does not fix their number. */
const PROBE_LENGTH = 2;

/**
 * A later token changes a causal model's earlier predictions by nothing, or, if activations are quantized by ranges taken over all
 * tokens, by about 2 % of what it changes at its own place; those of masked models, of two tokens, by 17 % and more (of 50 models).
 */
const CAUSAL_CHANGE = 0.05;

/**
 * Runs the model on a few tokens: shows how wide its output is, and whether a later token changes what is predicted
 * before it, which tells masked from causal models whatever their names.
 */
async function probe(
	{ roles }: ChosenGraph,
	hasEncoder: boolean,
	fixed: TextModel["fixed"],
	forward: TextModel["forward"],
	encode: TextModel["encode"],
): Promise<{ kind: TextModelKind; width: number }> {
	const batch = fixed.batch ?? 1;
	// Never as long as there are rows: a recurrent model then shows whether it takes [batch, length] or [length, batch].
	const length = fixed.length ?? (batch === PROBE_LENGTH ? PROBE_LENGTH + 1 : PROBE_LENGTH);
	const rows = (last: number): Rows => ({
		batch,
		length,
		ids: Int32Array.from({ length: batch * length }, (_, at) => ((at + 1) % length === 0 ? last : 0)),
	});
	if (roles.kind === "translator" || hasEncoder) {
		const source = await encode(rows(0));
		return { kind: "translator", width: roles.width ?? (await forward(rows(0), source)).width };
	}
	const [first, second] = [await forward(rows(0)), await forward(rows(1))];
	if (roles.kind === "encoder") return { kind: "encoder", width: first.width };
	const isCausal =
		roles.ports.some(({ role }) => role === "past") || change(first, second, 0) <= CAUSAL_CHANGE * change(first, second, length - 1);
	return { kind: isCausal ? "causal" : "masked", width: first.width };
}

/** False for graphs that were exported with one row and hold on to it, though they declare any number. */
async function takesTwoRows(
	kind: TextModelKind,
	fixed: TextModel["fixed"],
	forward: TextModel["forward"],
	encode: TextModel["encode"],
): Promise<boolean> {
	const rows = (length: number): Rows => ({ batch: 2, length, ids: new Int32Array(2 * length) });
	try {
		const source = kind === "translator" ? await encode(rows(fixed.source ?? PROBE_LENGTH)) : undefined;
		await forward(rows(fixed.length ?? PROBE_LENGTH), source);
		return true;
	} catch (error) {
		if (error instanceof DistembError && error.code === "engine") return false;
		throw error;
	}
}

/** ‖a − b‖ at one position. */
function change(a: Positions, b: Positions, position: number): number {
	const other = b.at(position);
	let sum = 0;
	for (const [index, value] of a.at(position).entries()) sum += (value - (other[index] ?? 0)) ** 2;
	return Math.sqrt(sum);
}
