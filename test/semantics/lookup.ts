// The lookups of a disguise.
import { type Draft, tableOf } from "./build.js";
import type { Disguise } from "./disguise.js";

/** Adds all lookups on `table`; returns the name of the sum of their rows, [batch, length, d]. */
export function lookupLines(draft: Draft, disguise: Disguise, table: string): string {
	const { rows: count, cols, masked, twice, scaled, positions } = disguise;
	let source = table;
	if (masked) {
		draft.add(`mask = float32[${count}, 1]`);
		draft.values.mask = Float32Array.from({ length: count }, (_, row) => Number(row !== 3));
		source = draft.let("masked", `Mul(${table}, mask)`);
	}
	let rows = lookup(draft, disguise, source, "ids");
	if (scaled) rows = draft.let("scaled", `Mul(${rows}, ${draft.let("factor", "float32[] {2.25}")})`);
	if (twice) {
		draft.inputs.push("others: int64[batch, length]");
		rows = draft.let("sum", `Add(${rows}, ${draft.let("other", `Gather(${source}, others)`)})`);
	}
	if (positions) {
		draft.inputs.push("places: int64[batch, length]");
		draft.add(`position = float32[4, ${cols}]`);
		rows = draft.let("placed", `Add(${rows}, ${draft.let("place", "Gather(position, places)")})`);
	}
	return rows;
}

function lookup(draft: Draft, disguise: Disguise, table: string, ids: string): string {
	const { rows, cols } = disguise;
	switch (disguise.lookup) {
		case "gather":
			return draft.let("rows", `Gather(${table}, ${ids})`);
		case "gatherND": {
			const last = draft.let("last", "int64[1] {-1}");
			return draft.let("rows", `GatherND(${table}, ${draft.let("at", `Unsqueeze(${ids}, ${last})`)})`);
		}
		case "one-hot": {
			const depth = draft.let("depth", `int64[] {${rows}}`);
			const values = draft.let("values", "float32[2] {0, 1}");
			return draft.let("rows", `MatMul(${draft.let("hot", `OneHot(${ids}, ${depth}, ${values})`)}, ${table})`);
		}
		case "if": {
			const name = draft.fresh("rows");
			draft.add(`${name} = If(${draft.flag()})`);
			for (const branch of ["then", "else"]) {
				draft.add(`	${branch}_branch:`, `	graph ${branch}()`, `		${name}_${branch} = Gather(${table}, ${ids})`);
				draft.add(`		return ${name}_${branch}`);
			}
			return name;
		}
		case "loop":
			return looped(draft, cols, table, ids);
		case "function":
			draft.functions.push("function own.Embed, opset ai.onnx 17\n\tgraph Embed(w, i)\n\t\tr = Gather(w, i)\n\t\treturn r");
			return draft.let("rows", `own.Embed(${table}, ${ids})`);
		case "function with a copy": {
			draft.values.held = tableOf(disguise);
			draft.functions.push(
				`function own.Held, opset ai.onnx 17\n\tgraph Held(i)\n\t\theld = Constant<value=float32[${rows}, ${cols}]>()\n\t\tr = Gather(held, i)\n\t\treturn r`,
			);
			return draft.let("rows", `own.Held(${ids})`);
		}
	}
}

/** Adds the rows up twice, in the body of a Loop. */
function looped(draft: Draft, cols: number, table: string, ids: string): string {
	const width = draft.let("width", `int64[1] {${cols}}`);
	const sizes = draft.let("sizes", `Concat<axis=0>(${draft.let("shape", `Shape(${ids})`)}, ${width})`);
	const start = draft.let("start", `Expand(${draft.let("zero", "float32[] {0}")}, ${sizes})`);
	const [steps, go] = [draft.let("steps", "int64[] {2}"), draft.let("go", "bool[] {1}")];
	const name = draft.fresh("rows");
	draft.add(`${name} = Loop(${steps}, ${go}, ${start})`, "	body:");
	draft.add(`	graph body(step: int64[], on: bool[], before: float32[?, ?, ${cols}])`);
	draft.add(`		${name}_row = Gather(${table}, ${ids})`, `		${name}_after = Add(before, ${name}_row)`);
	draft.add(`		${name}_on = Identity(on)`, `		return ${name}_on, ${name}_after`);
	return name;
}
