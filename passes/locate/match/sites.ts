// What the matchers return: places where a constant matrix is looked up or multiplied.

import type { DType } from "../../../src/ir/dtype.js";
import type { Attribute, Graph, Node, Value } from "../../../src/ir/graph.js";
import type { GemmForm, LookupPattern, ProjectionPattern } from "../../../src/state.js";
import type { Matrix } from "../matrix/matrix.js";

/** A lookup before anything is known of its role; see `Lookup` for the meaning of the fields. */
export interface LookupSite {
	readonly kind: "lookup";
	readonly pattern: LookupPattern;
	readonly graph: Graph;
	readonly node: Node;
	/** The input by which the node reads the table. */
	readonly input: number;
	readonly ids: Value;
	readonly output: Value | undefined;
	readonly dtype: DType;
	/** One row per id. */
	readonly matrix: Matrix;
}

/** A product with a constant matrix; see `Projection`. */
export interface ProjectionSite {
	readonly kind: "projection";
	readonly pattern: ProjectionPattern;
	readonly graph: Graph;
	readonly node: Node;
	readonly input: number;
	readonly hidden: Value;
	readonly output: Value;
	readonly dtype: DType;
	readonly hiddenRank: number | undefined;
	readonly alpha: number;
	readonly gemm: GemmForm | undefined;
	readonly bias: Value | undefined;
	/** One row per column of the result. */
	readonly matrix: Matrix;
}

/** A node that holds a vocabulary in a form that cannot be read: a reason to refuse, if it matters. */
export interface Unreadable {
	readonly kind: "unreadable";
	readonly node: Node;
	/** Size of the vocabulary, as the node says. */
	readonly rows: number;
	/** Hidden size, likewise. */
	readonly cols: number;
	/** One sentence without the node's name. */
	readonly reason: string;
}

export type Site = LookupSite | ProjectionSite;

export const NO_GEMM = { alpha: 1, gemm: undefined, bias: undefined } as const;

/** Attributes of FusedGemm's activation. */
export function activationOf(node: Node): ReadonlyMap<string, Attribute> | undefined {
	const found = new Map([...node.attributes].filter(([name]) => name.startsWith("activation")));
	return found.size === 0 ? undefined : found;
}
