// The file format: everything else sees models only through these functions.
export { type Encoded, type EncodeOptions, encodeModel, encodeToBytes } from "./encode.js";
export { type OpenModel, openModel } from "./open.js";
