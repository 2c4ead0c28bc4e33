// onnxruntime-node itself: loaded when it is needed, and its errors as ours.
import type * as ort from "onnxruntime-node";
import { DistembError, isOutOfMemory } from "../errors.js";
import type { Feeds } from "./session.js";

export type Engine = typeof ort;

/**
 * The native module, loaded at the first use, so that parts that need no engine work without it.
 * @throws DistembError `engine` if it is not installed, or not for this machine
 */
export async function loadEngine(): Promise<Engine> {
	let engine: Engine;
	// Since 1.30 the engine keeps a database of telemetry in the user's home and sends it off, unless this is set before it is loaded.
	process.env.ORT_DISABLE_TELEMETRY ??= "1";
	try {
		engine = await import("onnxruntime-node");
	} catch (cause) {
		throw new DistembError("engine", `the native module of onnxruntime-node cannot be loaded: ${firstLine(cause)}`, {
			hint: `reinstall the package's dependencies on this machine (${process.platform} ${process.arch})`,
			cause,
		});
	}
	engine.env.logLevel = "fatal";
	return engine;
}

/** Tensors as the engine has them, on the same arrays. */
export function tensorsOf(tensors: Feeds, engine: Engine): Record<string, ort.Tensor> {
	const converted: Record<string, ort.Tensor> = {};
	// The typings of the engine's constructor tie each type to its array; ours are checked by it at run time.
	for (const [name, { dtype, data, dims }] of Object.entries(tensors)) {
		converted[name] = new engine.Tensor(dtype as "float32", data as Float32Array, [...dims]);
	}
	return converted;
}

/** What the engine said, on one line. @param what what failed @param at file or model that is concerned */
export function engineError(what: string, cause: unknown, at: string | undefined = undefined): DistembError {
	return new DistembError("engine", `${what}: ${firstLine(cause)}`, {
		at,
		hint: isOutOfMemory(cause) ? "there is not enough memory for it" : undefined,
		cause,
	});
}

/** The first line of the engine's message, without the places in its own source code. */
function firstLine(cause: unknown): string {
	const message = cause instanceof Error ? cause.message : String(cause);
	const line =
		message
			.split("\n")
			.find((text) => text.trim() !== "")
			?.trim() ?? "no message";
	return withoutSourcePlaces(line).replace(/\[ONNXRuntimeError\] : \d+ : \w+ : /g, "");
}

/** Cuts every `/onnxruntime_src/…/file.cc:12 ns::Function(arguments) ` out of `line`. */
function withoutSourcePlaces(line: string): string {
	const start = line.search(/\/?\S*onnxruntime_src\/\S+:\d+ /);
	const open = start < 0 ? -1 : line.indexOf("(", start);
	if (open < 0) return line;
	let depth = 0;
	let end = open;
	for (; end < line.length; end++) {
		if (line[end] === "(") depth++;
		else if (line[end] === ")" && --depth === 0) break;
	}
	const rest = line.slice(end + 1).replace(/^ (const )?/, "");
	return rest === "" ? line : `${line.slice(0, start)}${line[start - 1] === ":" ? " " : ""}${withoutSourcePlaces(rest)}`;
}
