// A session that computes some values of a graph which was made in memory.
import type { Graph, Value } from "../ir/graph.js";
import { encodeToBytes } from "../onnx/index.js";
import type { SourceFile } from "../onnx/source.js";
import { openSession, type Session } from "./session.js";
import { modelThatGives } from "./training/program.js";

export interface ComputationOptions {
	readonly threads: number;
	/** The file that payloads of the graph's constants lie in. */
	readonly source?: SourceFile | undefined;
	/** What messages call the model. */
	readonly at?: string | undefined;
	/** False: what a run frees goes back to the system, for a session that waits most of the time. */
	readonly arena?: boolean | undefined;
}

/**
 * Opens a session whose outputs are `wanted`, with only the nodes that they need. Close it when done.
 * @throws DistembError `engine` if the engine refuses the graph
 */
export function openComputation(
	graph: Graph,
	wanted: readonly Value[],
	{ threads, source, at, arena = true }: ComputationOptions,
): Promise<Session> {
	const bytes = encodeToBytes(modelThatGives(graph, wanted), source);
	return openSession(bytes, { threads, spinning: "never", arena, ...(at === undefined ? {} : { at }) });
}
