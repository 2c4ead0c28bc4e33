// A model as one graph that can be run forward and differentiated: its one file, or encoder and decoder joined.
import type { Model, Value } from "../ir/graph.js";
import type { TextModelKind } from "../runtime/decode/model.js";
import type { GraphRoles } from "../runtime/decode/roles.js";
import type { ModelFile } from "../state.js";

/** Never written; it shares payloads with the files that it was made of. */
export interface WholeModel {
	readonly kind: TextModelKind;
	readonly model: Model;
	/** Of the one graph: an encoder that was joined to a decoder leaves no `states` port, but `source` and `sourceMask`. */
	readonly roles: GraphRoles;
	/** Files that it was made of. The others of a folder (a decoder with past) share their factors and take over what is trained. */
	readonly files: readonly ModelFile[];
	/** The value that stands for `value` of one of the files' main graphs; undefined if it is not in here. */
	valueOf(file: ModelFile, value: Value): Value | undefined;
}
