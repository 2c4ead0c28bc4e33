// The file format: everything else sees models only through these functions.
export { type Bundle, bytesOfBundle, filesOfBundle, openBundle, requireUnchanged } from "./bundle.js";
export { clearLeftovers } from "./claim.js";
export { type Encoded, type EncodeOptions, encodeModel, encodeToBytes } from "./encode.js";
export { tensorsOf } from "./layout.js";
export { type OpenModel, openModel } from "./open.js";
export { configWithPieces, locationsOf, type Pieces, renumbered } from "./pieces.js";
export { type ModelToSave, type SaveOptions, StagedOutput } from "./save.js";
export { type Skeleton, skeletonOf } from "./skeleton.js";
export { pathKind } from "./source.js";
