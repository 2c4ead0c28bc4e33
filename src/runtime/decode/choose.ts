// Which graphs of a folder make up the model, and how one decoding step is run.
import { DistembError } from "../../errors.js";
import type { Model } from "../../ir/graph.js";
import { bytesOfBundle, openBundle } from "../../onnx/index.js";
import { continuations, type GraphRoles, isRecurrentState, readRoles } from "./roles.js";

export interface ChosenGraph {
	/** Relative to the folder. */
	readonly name: string;
	/** Absolute. */
	readonly path: string;
	readonly roles: GraphRoles;
}

/** A graph that reads its past. */
export interface StepGraph {
	readonly graph: ChosenGraph;
	/** The first step is run by the full graph, which leaves a past; otherwise by the step graph, on zeros. */
	readonly startsFull: boolean;
}

export interface ChosenGraphs {
	readonly encoder: ChosenGraph | undefined;
	/** Runs on whole sequences. An encoder alone is its own full graph. */
	readonly full: ChosenGraph;
	readonly step: StepGraph | undefined;
	/** Other models of the folder, with the reason if there is one. */
	readonly unused: readonly string[];
}

/**
 * Opens the graphs below `input` for their signatures only; `bytes` are those of all its models and data files.
 * @throws DistembError `input` if files are broken, `refused` if they are no model that can be run on data
 */
export function chooseGraphs(input: string): { readonly graphs: ChosenGraphs; readonly bytes: number } {
	const bundle = openBundle(input);
	try {
		const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model }));
		return { graphs: chooseAmong(files, bundle.kind), bytes: bytesOfBundle(bundle) };
	} catch (error) {
		throw error instanceof DistembError ? error.located(input) : error;
	} finally {
		bundle.close();
	}
}

/** A file of a model. */
export interface GraphFile {
	/** Relative to the folder. */
	readonly name: string;
	/** Absolute. */
	readonly path: string;
	readonly model: Model;
}

/**
 * The graphs of `files`, all of one model.
 * @throws DistembError `refused` if they are no model that can be run on data
 */
export function chooseAmong(files: readonly GraphFile[], kind: "file" | "directory"): ChosenGraphs {
	const graphs: ChosenGraph[] = [];
	const notes = new Map<string, string>();
	// The shortest name first: variants of a model append to it (model_fp16.onnx, decoder_model_merged.onnx).
	for (const { name, path, model } of files.toSorted((a, b) => a.name.length - b.name.length)) {
		try {
			graphs.push({ name, path, roles: readRoles(model) });
		} catch (error) {
			if (kind === "file" || !(error instanceof DistembError)) throw error;
			notes.set(name, error.message);
		}
	}
	const chosen = assemble(graphs);
	if (chosen === undefined) {
		const single = graphs[0];
		const lonely = kind === "file" && single !== undefined;
		throw new DistembError("refused", lonely ? "is a decoder without its encoder" : "holds no complete model that can be run", {
			hint: lonely ? "name the folder with all files of the model" : ([...notes.values()][0] ?? "name the model's file"),
		});
	}
	const used = [chosen.encoder, chosen.full, chosen.step?.graph];
	const unused = files.filter(({ name }) => !used.some((graph) => graph?.name === name)).map(({ name }) => name);
	return { ...chosen, unused: unused.map((name) => (notes.has(name) ? `${name} (${notes.get(name)})` : name)) };
}

/** The same graphs with ids and logits as [length, batch, …]; undefined unless one recurrent graph is the whole model. */
export function asTimeMajor(graphs: ChosenGraphs): ChosenGraphs | undefined {
	const { encoder, full, step } = graphs;
	if (encoder !== undefined || !full.roles.ports.some(isRecurrentState) || (step !== undefined && step.graph !== full)) return undefined;
	const turned = { ...full, roles: { ...full.roles, timeMajor: true } };
	return { ...graphs, full: turned, step: step && { ...step, graph: turned } };
}

function assemble(graphs: readonly ChosenGraph[]): Omit<ChosenGraphs, "unused"> | undefined {
	const of = (kind: GraphRoles["kind"]) => graphs.filter(({ roles }) => roles.kind === kind);
	const [encoder] = of("encoder");
	const decoder = encoder === undefined ? undefined : fullOf(of("decoder"));
	if (encoder !== undefined && decoder !== undefined) return { encoder, full: decoder, step: stepOf(decoder, of("decoder")) };
	const [translator] = of("translator");
	if (translator !== undefined) return { encoder: undefined, full: translator, step: undefined };
	const model = fullOf(of("model"));
	if (model !== undefined) return { encoder: undefined, full: model, step: stepOf(model, of("model")) };
	return encoder === undefined ? undefined : { encoder: undefined, full: encoder, step: undefined };
}

const has = ({ roles }: ChosenGraph, role: string) => roles.ports.some((port) => port.role === role);

/** Prefers a graph without past, then one with two branches, then one whose past may be empty. */
function fullOf(graphs: readonly ChosenGraph[]): ChosenGraph | undefined {
	const whole = graphs.filter((graph) => !has(graph, "past") || has(graph, "branch") || !readsEncoderPast(graph));
	const rank = (graph: ChosenGraph) => (!has(graph, "past") ? 0 : has(graph, "branch") ? 1 : takesOneToken(graph) ? 3 : 2);
	return whole.toSorted((a, b) => rank(a) - rank(b))[0];
}

/** Keys and values of the encoder's output: they never change after the first step. */
export function isEncoderPast(name: string): boolean {
	return /encoder|cross|memory/i.test(name);
}

function pastsOf({ roles }: ChosenGraph): string[] {
	return roles.ports.filter(({ role }) => role === "past").map(({ name }) => name);
}

function readsEncoderPast(graph: ChosenGraph): boolean {
	return pastsOf(graph).some(isEncoderPast);
}

/** True if each run takes exactly one token per row. */
export function takesOneToken({ roles }: ChosenGraph): boolean {
	const axes = roles.ports.find(({ role }) => role === "tokens")?.axes;
	return axes !== undefined && axes.length === 2 && axes[1] === 1;
}

function stepOf(full: ChosenGraph, graphs: readonly ChosenGraph[]): StepGraph | undefined {
	const candidates = graphs.filter((graph) => graph !== full && has(graph, "past"));
	const ordered = [
		...(has(full, "past") ? [full] : []),
		...candidates.toSorted((a, b) => Number(has(a, "branch")) - Number(has(b, "branch"))),
	];
	for (const graph of ordered) {
		const pasts = pastsOf(graph);
		const own = continuations(graph.roles, graph.roles);
		const first = continuations(full.roles, graph.roles);
		const goesOn = pasts.every((past) => own.has(past) || isEncoderPast(past));
		if (goesOn && pasts.every((past) => first.has(past))) return { graph, startsFull: true };
		if (pasts.every((past) => own.has(past)) && !readsEncoderPast(graph)) return { graph, startsFull: false };
	}
	return undefined;
}
