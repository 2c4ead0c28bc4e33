// The output projections of a disguise.
import { type Draft, numbers, tableOf, transposed } from "./build.js";
import type { Disguise } from "./disguise.js";

/** The matrix of a head as it is at hand: [V, d], or [d, V]. */
interface Matrix {
	readonly name: string;
	readonly isTurned: boolean;
}

/** Adds the head on `hidden`, and a second one on `rows`; both end as outputs of the graph. */
export function headLines(draft: Draft, disguise: Disguise, table: string, hidden: string, rows: string): void {
	const matrix = matrixOf(draft, disguise, table);
	const type = `float32[batch, length, ${disguise.rows}]`;
	draft.outputs.push(`${ended(draft, disguise, product(draft, disguise, matrix, hidden))}: ${type}`);
	if (!disguise.twoHeads) return;
	draft.outputs.push(`${draft.let("scores", `MatMul(${rows}, ${turned(draft, matrix, true)})`)}: ${type}`);
}

function matrixOf(draft: Draft, disguise: Disguise, table: string): Matrix {
	const { rows, cols, head, seed } = disguise;
	if (head === "same") return { name: table, isTurned: false };
	const isTurned = head === "turned copy" || head === "another";
	const values = head === "another" ? numbers(rows * cols, seed + 1) : tableOf(disguise);
	draft.values.head = isTurned ? transposed(values, rows, cols) : values;
	draft.add(`head = ${head === "half copy" ? "float16" : "float32"}[${isTurned ? `${cols}, ${rows}` : `${rows}, ${cols}`}]`);
	return { name: head === "half copy" ? draft.let("wide", "Cast<to=1>(head)") : "head", isTurned };
}

/** Name of the matrix as [d, V] if `isTurned`, else as [V, d]. */
function turned(draft: Draft, matrix: Matrix, isTurned: boolean): string {
	return matrix.isTurned === isTurned ? matrix.name : draft.let("turned", `Transpose<perm=[1, 0]>(${matrix.name})`);
}

function product(draft: Draft, disguise: Disguise, matrix: Matrix, hidden: string): string {
	switch (disguise.product) {
		case "matmul":
			return draft.let("scores", `MatMul(${hidden}, ${turned(draft, matrix, true)})`);
		case "gemm": {
			const { rows, cols, endings } = disguise;
			const flat = draft.let("flat", `Reshape(${hidden}, ${draft.let("sizes", `int64[2] {-1, ${cols}}`)})`);
			const bias = endings.includes("bias") ? `, ${draft.let("offset", `float32[${rows}]`)}` : "";
			const transB = Number(!matrix.isTurned);
			const flatScores = draft.let("flat", `Gemm<transB=${transB}, alpha=0.5, beta=2.0>(${flat}, ${matrix.name}${bias})`);
			const front = draft.let("front", `Slice(${draft.let("shape", `Shape(${hidden})`)}, ${slice(draft, 0)}, ${slice(draft, 2)})`);
			const sizes = draft.let("sizes", `Concat<axis=0>(${front}, ${draft.let("width", `int64[1] {${rows}}`)})`);
			return draft.let("scores", `Reshape(${flatScores}, ${sizes})`);
		}
		case "einsum": {
			const equation = matrix.isTurned ? "bsd,dv->bsv" : "bsd,vd->bsv";
			return draft.let("scores", `Einsum<equation="${equation}">(${hidden}, ${matrix.name})`);
		}
		case "if": {
			const weight = turned(draft, matrix, true);
			const name = draft.fresh("scores");
			draft.add(`${name} = If(${draft.flag()})`);
			for (const branch of ["then", "else"]) {
				draft.add(`	${branch}_branch:`, `	graph ${branch}()`, `		${name}_${branch} = MatMul(${hidden}, ${weight})`);
				draft.add(`		return ${name}_${branch}`);
			}
			return name;
		}
		case "function":
			draft.functions.push(
				"function own.Linear, opset ai.onnx 17\n\tgraph Linear(x, w)\n\t\tt = Transpose<perm=[1, 0]>(w)\n\t\ty = MatMul(x, t)\n\t\treturn y",
			);
			return draft.let("scores", `own.Linear(${hidden}, ${turned(draft, matrix, false)})`);
	}
}

const slice = (draft: Draft, at: number) => draft.let("at", `int64[1] {${at}}`);

function ended(draft: Draft, { rows, endings }: Disguise, scores: string): string {
	let last = scores;
	for (const ending of endings) {
		if (ending === "bias") last = draft.let("biased", `Add(${last}, ${draft.let("bias", `float32[${rows}]`)})`);
		else if (ending === "scale") last = draft.let("scaled", `Mul(${last}, ${draft.let("factor", "float32[] {0.125}")})`);
		else if (ending === "log-softmax") last = draft.let("logs", `LogSoftmax<axis=-1>(${last})`);
		else if (ending === "half") last = draft.let("wide", `Cast<to=1>(${draft.let("half", `Cast<to=10>(${last})`)})`);
		else {
			const most = draft.let("most", "float32[] {3}");
			last = draft.let("capped", `Mul(${draft.let("bent", `Tanh(${draft.let("small", `Div(${last}, ${most})`)})`)}, ${most})`);
		}
	}
	return last;
}
