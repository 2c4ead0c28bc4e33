// Name and version of this tool, from the package's own manifest.
import { readFileSync } from "node:fs";

interface Manifest {
	readonly name: string;
	readonly version: string;
}

function isManifest(value: unknown): value is Manifest {
	return typeof value === "object" && value !== null && "name" in value && "version" in value;
}

function readManifest(): Manifest {
	for (const relative of ["../package.json", "../../package.json"]) {
		try {
			const manifest: unknown = JSON.parse(readFileSync(new URL(relative, import.meta.url), "utf8"));
			if (isManifest(manifest) && manifest.name === "onnx-distemb") return { name: manifest.name, version: manifest.version };
		} catch {
			// The compiled file lies one folder deeper than its source.
		}
	}
	return { name: "onnx-distemb", version: "0.0.0" };
}

export const TOOL: Manifest = readManifest();
