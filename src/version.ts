// Name and version of this tool, from the package's own manifest.
import { createRequire } from "node:module";

interface Manifest {
	readonly name: string;
	readonly version: string;
}

function readManifest(): Manifest {
	// A package may require itself by name; this finds the manifest from the sources and from the build alike.
	const manifest: unknown = createRequire(import.meta.url)("onnx-distemb/package.json");
	if (typeof manifest === "object" && manifest !== null && "name" in manifest && "version" in manifest) {
		return { name: String(manifest.name), version: String(manifest.version) };
	}
	throw new TypeError("package.json names no version");
}

export const TOOL: Manifest = readManifest();
