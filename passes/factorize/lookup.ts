// Lookups: ids → Gather(U) → · W, in place of the rows of the table.
import { int } from "../../src/ir/attributes.js";
import { Chain } from "../../src/ir/build.js";
import type { DType } from "../../src/ir/dtype.js";
import type { Node, Value } from "../../src/ir/graph.js";
import type { Lookup } from "../../src/state.js";

export interface Factors {
	/** U [V, r] */
	readonly left: Value;
	/** W [r, d] */
	readonly right: Value;
	/** The type in which they are multiplied. */
	readonly compute: DType;
}

/** rows[ids] = U[ids] · W; returns the node that became idle. */
export function rewriteLookup(lookup: Lookup, output: Value, factors: Factors): Node | undefined {
	const idle = output.producer;
	const chain = new Chain(lookup.graph, idle, output.name);
	gatherRows(chain, lookup, factors, output);
	return idle;
}

/** The rows of the table for the lookup's ids, in the lookup's own type; defines `defines` or a new value. */
export function gatherRows(chain: Chain, lookup: Lookup, { left, right, compute }: Factors, defines?: Value): Value {
	const codes = chain.add("Gather", [left, indices(chain, lookup.ids)], "rank", { attributes: { axis: int(0) } });
	if (lookup.dtype === compute) return chain.add("MatMul", [codes, right], "rows", { defines });
	return chain.cast(chain.add("MatMul", [codes, right], "rows"), compute, lookup.dtype, "cast", defines);
}

/** Gather takes int32 and int64 only; OneHot, for one, takes any number and truncates it. */
function indices(chain: Chain, ids: Value): Value {
	const dtype = ids.type?.dtype;
	if (dtype === undefined || dtype === "int64" || dtype === "int32") return ids;
	return chain.cast(ids, dtype, "int64", "ids");
}
