// Decoding step by step: with a past where there is one, else by running the whole prefix again.
import { DistembError } from "../../errors.js";
import type { Feeds, Session } from "../session.js";
import { type ChosenGraph, isEncoderPast, type StepGraph, takesOneToken } from "./choose.js";
import { pickRows, pickTokens, type Rows, type Source, stepFeeds } from "./feeds.js";
import { positionsOf, type Vector } from "./logits.js";
import { continuations, type GraphRoles, isRecurrentState } from "./roles.js";

export interface Machine {
	readonly full: ChosenGraph;
	readonly step: StepGraph | undefined;
	readonly sessionOf: (graph: ChosenGraph) => Session;
}

export interface Advanced {
	/** Logits after the last token of each row. */
	readonly logits: readonly Vector[];
	readonly next: Decoding;
}

interface Memory {
	/** Tokens read so far, per row. */
	readonly position: number;
	readonly past: Feeds | undefined;
	/** All tokens read so far; kept only where there is no past. */
	readonly prefix: Rows | undefined;
}

const NOTHING: Memory = { position: 0, past: undefined, prefix: undefined };

/** What has been read so far. Never changes: each step gives a new one, so that beams may branch. */
export class Decoding {
	private readonly machine: Machine;
	private readonly source: Source | undefined;
	private readonly memory: Memory;

	constructor(machine: Machine, source: Source | undefined, memory: Memory = NOTHING) {
		this.machine = machine;
		this.source = source;
		this.memory = memory;
	}

	/** Reads `ids` ([batch, length] without padding) and predicts what follows. */
	async advance({ batch, length, ids }: Rows): Promise<Advanced> {
		const { step } = this.machine;
		if (step === undefined) return this.again({ batch, length, ids });
		const isSingle = takesOneToken(this.memory.past === undefined && step.startsFull ? this.machine.full : step.graph);
		if (!isSingle || length === 1) return this.forth(step, { batch, length, ids });
		let state: Advanced | undefined;
		for (let column = 0; column < length; column++) {
			const one = Int32Array.from({ length: batch }, (_, row) => ids[row * length + column] ?? 0);
			state = await (state?.next ?? this).forth(step, { batch, length: 1, ids: one });
		}
		if (state === undefined) throw new DistembError("internal", "no token was given");
		return state;
	}

	/** The state of rows `picked`, any number of times and in any order. */
	pick(picked: readonly number[]): Decoding {
		const { source, machine } = this;
		const { position, past, prefix } = this.memory;
		const rows =
			source === undefined
				? undefined
				: { rows: pickTokens(source.rows, picked), states: source.states && pickRows(source.states, 0, picked) };
		const pasts = Object.entries(past ?? {}).map(([name, tensor]) => [name, pickRows(tensor, this.batchAxis(name), picked)] as const);
		return new Decoding(machine, rows, {
			position,
			past: past === undefined ? undefined : Object.fromEntries(pasts),
			prefix: prefix === undefined ? undefined : pickTokens(prefix, picked),
		});
	}

	private batchAxis(past: string): number {
		const port = this.machine.step?.graph.roles.ports.find(({ name }) => name === past);
		return port !== undefined && isRecurrentState(port) ? 1 : Math.max(0, port?.axes.indexOf("batch") ?? 0);
	}

	/** One run of the graph that reads the past, or of the one that leaves the first. */
	private async forth(step: StepGraph, tokens: Rows): Promise<Advanced> {
		const { source, machine } = this;
		const { position, past } = this.memory;
		const graph = past === undefined && step.startsFull ? machine.full : step.graph;
		const outputs = continuations(graph.roles, step.graph.roles);
		const { output } = graph.roles;
		const results = await machine
			.sessionOf(graph)
			.run(stepFeeds(graph.roles, { tokens, position, past, source }), [output, ...outputs.values()]);
		const carried: Record<string, Feeds[string]> = { ...past };
		for (const [name, from] of outputs) {
			const tensor = results[from];
			// The branch with a past gives the encoder's keys and values back as empty tensors.
			if (tensor !== undefined && !(past !== undefined && isEncoderPast(name))) carried[name] = tensor;
		}
		const next = new Decoding(machine, source, { position: position + tokens.length, past: carried, prefix: undefined });
		return { logits: lastOf(results[output], tokens, graph.roles), next };
	}

	/** The whole prefix, once more. */
	private async again(tokens: Rows): Promise<Advanced> {
		const { source, machine } = this;
		const prefix = this.memory.prefix === undefined ? tokens : joined(this.memory.prefix, tokens);
		const { output } = machine.full.roles;
		const results = await machine
			.sessionOf(machine.full)
			.run(stepFeeds(machine.full.roles, { tokens: prefix, position: 0, source }), [output]);
		return {
			logits: lastOf(results[output], prefix, machine.full.roles),
			next: new Decoding(machine, source, { position: prefix.length, past: undefined, prefix }),
		};
	}
}

/** Logits at the end of each row; graphs that give only those are understood too. */
function lastOf(tensor: Feeds[string] | undefined, { batch, length }: Rows, { timeMajor }: GraphRoles): Vector[] {
	if (tensor === undefined) throw new DistembError("internal", "the engine gave no logits");
	const isLastOnly = tensor.dims.length === 2 ? tensor.dims[0] === batch : tensor.dims[timeMajor ? 0 : 1] === 1;
	const given = isLastOnly ? 1 : length;
	const positions = positionsOf(tensor, { batch, length: given }, timeMajor);
	return Array.from({ length: batch }, (_, row) => positions.at(row * given + given - 1));
}

function joined(before: Rows, after: Rows): Rows {
	const length = before.length + after.length;
	const ids = new Int32Array(before.batch * length);
	for (let row = 0; row < before.batch; row++) {
		ids.set(before.ids.subarray(row * before.length, (row + 1) * before.length), row * length);
		ids.set(after.ids.subarray(row * after.length, (row + 1) * after.length), row * length + before.length);
	}
	return { batch: before.batch, length, ids };
}
