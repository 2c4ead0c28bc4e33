// Which copies of a table go away, and who would still read them.
import type { Graph, Node } from "../../src/ir/graph.js";
import { allGraphs, nodeLabel, scopes } from "../../src/ir/walk.js";
import type { ModelFile, StoredCopy, Vocabulary } from "../../src/state.js";

/** The nodes whose results the factors compute from now on. */
export function replacedNodes({ lookups, projections }: Vocabulary): Set<Node> {
	return new Set([...lookups, ...projections].map(({ node, output }) => output?.producer ?? node));
}

/**
 * Where `copy` is still needed once `replaced` are gone: the label of the first node after which its contents
 * reach a graph output by another way, or `undefined` if every way leads through `replaced` or ends.
 */
export function otherReader(copy: StoredCopy, replaced: ReadonlySet<Node>): string | undefined {
	const seen = new Set(replaced);
	for (const use of copy.value.uses) {
		if (use.kind === "output") return `output "${copy.value.name}"`;
		if (!seen.has(use.node) && reachesOutput(use.node, seen)) return nodeLabel(use.node);
	}
	return undefined;
}

/** Something that is computed from `start` is an output. Nodes that were seen lead to none; they grow. */
function reachesOutput(start: Node, seen: Set<Node>): boolean {
	const below = new Set([start]);
	for (const node of below) {
		seen.add(node);
		for (const output of node.outputs) {
			for (const use of output?.uses ?? []) {
				if (use.kind === "output") return true;
				if (!seen.has(use.node)) below.add(use.node);
			}
		}
	}
	return false;
}

/** The innermost scope that encloses all of `graphs`, which belong to one main graph. */
export function commonScope(graphs: readonly Graph[]): Graph | undefined {
	const [first, ...others] = graphs;
	if (first === undefined) return undefined;
	const chains = others.map((graph) => new Set(scopes(graph)));
	for (const scope of scopes(first)) if (chains.every((chain) => chain.has(scope))) return scope;
	return undefined;
}

/** Data files begin large tensors at a page, so that they can be mapped into memory. */
export const PAGE = 4096;

/** Where smaller tensors begin. */
const SMALL_UNIT = 64;

/** Bytes of the data files when written anew: every tensor in them once, padded to pages. */
export function dataFileBytes(files: readonly ModelFile[]): number {
	const sizes = new Map<unknown, number>();
	for (const { model } of files) {
		for (const { initializers } of allGraphs(model, true)) {
			for (const { tensor } of initializers) {
				if (tensor?.placement.kind === "external") sizes.set(tensor.data?.identity ?? tensor, padded(tensor.byteLength));
			}
		}
	}
	return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function padded(bytes: number): number {
	const unit = bytes >= PAGE ? PAGE : SMALL_UNIT;
	return Math.ceil(bytes / unit) * unit;
}
